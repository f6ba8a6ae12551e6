"""The embedded llama.cpp against a real Ollama, with the same file: tokens a second, and the time to the first one.

    uv run python bench/deploy_speed.py --base FOLDER [--shape] [--tokens 64]

FOLDER: a Hugging Face model with our chat template, exported as Q8_0. --shape: instead random weights in the shape of
Llama 3.2 1B, with that folder's tokenizer. Five alternating runs each; prints medians, their ratio, and how busy the machine
was, as every figure depends on that. Ollama is started for the purpose, with a folder of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf
import httpx
import numpy as np

from blogtwin.chat_template import template_for
from blogtwin.export.gguf import write_gguf
from blogtwin.export.vocabulary import read_vocabulary
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes import machine
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama

RUNS = 5
CONTEXT = 1024
QUESTION = "Write a post about the light in winter, and what it does to a room."
LAYERS, WIDTH, INNER, HEADS, SHARED, WORDS = 16, 2048, 8192, 32, 8, 128256


def one_billion(folder: Path, into: Path) -> Path:
    """Random Q8_0 weights in the shape of Llama 3.2 1B; they say nothing, at the same speed."""
    vocabulary = read_vocabulary(folder, WORDS)
    # Rows that the folder has no token for get a word each: what is never shown could not be counted.
    filled = [kind == gguf.TokenType.UNUSED for kind in vocabulary.types]
    tokens = [f"Ġ{number}" if new else vocabulary.tokens[number] for number, new in enumerate(filled)]
    types = [int(gguf.TokenType.NORMAL) if new else vocabulary.types[number] for number, new in enumerate(filled)]
    writer = gguf.GGUFWriter(into, "llama")
    writer.add_context_length(131072)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(SHARED)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(WORDS)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(vocabulary.merges)
    for kind, number in vocabulary.ids.items():
        getattr(writer, f"add_{kind}_token_id")(number)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))
    chance = np.random.default_rng(0)
    shared = SHARED * WIDTH // HEADS
    rows = {
        "attn_q": WIDTH,
        "attn_k": shared,
        "attn_v": shared,
        "attn_output": WIDTH,
        "ffn_gate": INNER,
        "ffn_up": INNER,
    }
    writer.add_tensor("token_embd.weight", _random(chance, WORDS, WIDTH), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    for layer in range(LAYERS):
        shapes = {name: (count, WIDTH) for name, count in rows.items()} | {"ffn_down": (WIDTH, INNER)}
        for name, shape in shapes.items():
            stored = _random(chance, *shape)
            writer.add_tensor(f"blk.{layer}.{name}.weight", stored, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return into


def _random(chance: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Blocks of 32 weights as Q8_0 stores them, a 16-bit scale and 32 bytes: shape (rows, columns / 32 * 34)."""
    blocks = np.empty((rows * columns // 32, 34), np.uint8)
    blocks[:, :2] = np.array([0.02 / 127], np.float16).view(np.uint8)
    blocks[:, 2:] = chance.integers(-127, 128, (len(blocks), 32), dtype=np.int8).view(np.uint8)
    return blocks.reshape(rows, -1)


@contextmanager
def real_ollama(folder: Path) -> Iterator[str]:
    """The address of an Ollama of our own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    places = {"HOME": str(folder), "OLLAMA_MODELS": str(folder / "models"), "OLLAMA_HOST": address}
    program = shutil.which("ollama")
    if program is None:
        raise SystemExit("Ollama is not installed here: https://ollama.com")
    with (folder / "ollama.log").open("wb") as log:
        server = subprocess.Popen([program, "serve"], env=os.environ | places, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://{address}/api/version", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()


def timed(runtime: Runtime, sampling: Sampling, run: int) -> tuple[float, float]:
    """Seconds to the first piece, and pieces (one token each) a second after it.

    Each run asks something new from the first word on: Ollama keeps the last prompt's computations, the embedded runtime none.
    """
    asked = [Message(role="user", content=f"{run}. {QUESTION}")]
    began = time.monotonic()
    pieces = iter(runtime.chat("speed:latest", asked, sampling))
    next(pieces)
    first = time.monotonic()
    count = sum(1 for _ in pieces)
    return first - began, count / (time.monotonic() - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--shape", action="store_true")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, help="of both; else 1 below 100 MB, as deploy does, and all cores above")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        os.environ["BLOGTWIN_HOME"] = str(work / "home")
        file = work / "model.gguf"
        if told.shape:
            one_billion(told.base, file)
        else:
            write_gguf(told.base, file, "q8_0", "speed", Silent())
        template = template_for(read_vocabulary(told.base, WORDS).tokens).name
        threads = told.threads or (1 if file.stat().st_size < 100_000_000 else machine.cores())
        sampling = Sampling(
            temperature=1.0, top_p=1.0, top_k=40, min_p=0.0, repeat_penalty=1.0, seed=1, max_tokens=told.tokens
        )
        artifact = Artifact(
            gguf=str(file), gguf_sha256=hash_file(file), quantization="q8_0", template=template, system="",
            sampling=sampling, context_length=CONTEXT, threads=threads,
        )  # fmt: skip
        with real_ollama(work) as address:
            runtimes: dict[str, Runtime] = {"embedded": LlamaCpp(threads), "ollama": Ollama(address, threads)}
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in runtimes}
            for runtime in runtimes.values():
                runtime.install(artifact, "speed:latest", Silent())
                timed(runtime, sampling, RUNS)  # warm
            for run in range(RUNS):
                for name, runtime in runtimes.items():
                    found[name].append(timed(runtime, sampling, run))
        middle = {name: [statistics.median(part) for part in zip(*runs, strict=True)] for name, runs in found.items()}
        print(f"{file.stat().st_size / 1e6:.0f} MB, {threads} threads; load of the machine {os.getloadavg()[0]:.1f}")
        for name, (first, rate) in middle.items():
            print(f"{name}: first token after {first * 1000:.0f} ms, then {rate:.1f} tokens/s (medians of {RUNS})")
        ours, theirs = middle["embedded"], middle["ollama"]
        print(
            f"embedded / ollama: {ours[1] / theirs[1]:.2f} in tokens/s, {ours[0] / theirs[0]:.2f} in time to the first"
        )


if __name__ == "__main__":
    main()
