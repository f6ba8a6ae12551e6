"""How long it takes to write a GGUF of a Llama-3.2-1B, and how much memory: ours beside llama.cpp's converter and a copy.

    python bench/deploy.py --tokenizer FOLDER [--llama-cpp CHECKOUT] [--model FOLDER] [--room FOLDER] [--rounds 1]

The model has random weights in that shape, made once in the room; only its tokenizer is taken from a folder (one of Llama 3's
kind). Each job is a process of its own: seconds by the clock, the most memory that was resident by the operating system's
account. Every job reads the model from a warm page cache, and its bytes are on the disk (fsync) when the clock stops.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPE = {
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 4,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}
MAKE = f"""
import sys, torch, transformers
torch.manual_seed(0)
torch.set_default_dtype(torch.bfloat16)
transformers.LlamaForCausalLM(transformers.LlamaConfig(**{SHAPE!r})).save_pretrained(sys.argv[1])
"""
OURS = """
import sys
from pathlib import Path
from blogtwin.export.gguf import write_gguf
from blogtwin.progress import Silent
write_gguf(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], "bench", Silent())
"""
# A tokenizer of one's own is none that the converter knows by its hash: it is told which one it is like.
THEIRS = """
import runpy, sys
checkout = sys.argv.pop(1)
sys.path[:0] = [checkout, checkout + "/gguf-py"]
try:
    from conversion.base import TextModel
except ImportError:
    TextModel = None
if TextModel is not None:
    TextModel.get_vocab_base_pre = lambda self, tokenizer: "llama-bpe"
runpy.run_path(checkout + "/convert_hf_to_gguf.py", run_name="__main__")
"""
COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def main() -> None:
    arguments = _arguments()
    room = Path(arguments.room or tempfile.mkdtemp(prefix="bench-deploy-"))
    model = Path(arguments.model) if arguments.model else _made(room / "model", Path(arguments.tokenizer))
    target = room / "out.gguf"
    jobs = {"copy of the bytes": [sys.executable, "-c", COPY, str(model / "model.safetensors"), str(target)]}
    for kind in ("f16", "q8_0"):
        jobs[f"ours, {kind}"] = [sys.executable, "-c", OURS, str(model), str(target), kind]
        if arguments.llama_cpp:
            options = [str(model), "--outfile", str(target), "--outtype", kind]
            jobs[f"llama.cpp, {kind}"] = [sys.executable, "-c", THEIRS, arguments.llama_cpp, *options]
    size = (model / "model.safetensors").stat().st_size / 1e9
    print(f"{size:.2f} GB of bfloat16 weights; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'':20}{'seconds':>10}{'of the copy':>13}{'peak memory':>14}{'written':>10}")
    best: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for name, command in jobs.items():
            _read(model / "model.safetensors")
            seconds, memory = _timed(command, target)
            best[name] = min(seconds, best.get(name, seconds))
            ratio = seconds / best["copy of the bytes"]
            written = target.stat().st_size / 1e9
            print(f"{name:20}{seconds:10.2f}{ratio:12.2f}x{memory / 1e6:11,.0f} MB{written:7.2f} GB", flush=True)
            target.unlink()


def _timed(command: list[str], target: Path) -> tuple[float, int]:
    """Seconds, and bytes of resident memory at the most. Raises SystemExit with what the job said when it failed."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        job = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(job.pid, 0)
        job.returncode = os.waitstatus_to_exitcode(status)
        if job.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode(errors="replace")[-2000:])
    with target.open("rb+") as written:
        os.fsync(written.fileno())
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def _made(folder: Path, tokenizer: Path) -> Path:
    if not (folder / "model.safetensors").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes((tokenizer / name).read_bytes())
        (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", help="a folder with a tokenizer.json of Llama 3's kind")
    parser.add_argument("--model", help="a folder with such a model, instead of making one")
    parser.add_argument("--llama-cpp", help="a checkout of llama.cpp, whose converter is timed too")
    parser.add_argument("--room", help="where to make the model and the files (default: a new folder)")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.tokenizer or arguments.model):
        parser.error("--tokenizer or --model is needed")
    return arguments


if __name__ == "__main__":
    main()
