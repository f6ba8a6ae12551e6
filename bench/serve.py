"""What the server costs: /api/generate beside the runtime itself, and feedback of 64 clients while two texts are written.

    uv run python bench/serve.py --base FOLDER [--shape] [--tokens 96] [--rounds 7] [--seconds 60] [--pause 1.0]

FOLDER: a Hugging Face model with our chat template, exported as Q8_0. --shape: instead random weights in the shape of Llama
3.2 1B, with that folder's tokenizer. The server is `blogtwin serve` in a process of its own. --pause: seconds a client thinks
between two judgements; 0 asks without a pause, which measures how many the machine can take, not how long one takes.

Printed: the time to the first token and the pace from there to the last of both sides, taken in turn with the same file and the
likeliest words, as medians, with the difference and the ratio (of characters, as both write the same text); how long after its
last piece the server has remembered a text and says so, which is once a text whatever its length; then the judgements that
were acknowledged, those that are in the database, and the 50th, 95th and 99th percentile of a judgement's time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from blogtwin.chat_template import template_for
from blogtwin.export.gguf import write_gguf
from blogtwin.export.vocabulary import read_vocabulary
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Deployment, Message, Sampling
from blogtwin.runtimes import machine
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.service_records import Draft, Generation
from blogtwin.workspace import save_deployment
from deploy_speed import CONTEXT, WORDS, one_billion

TWIN, CLIENTS, WRITERS = "bench-twin", 64, 2
QUESTION = "Write a post about the light in winter, and what it does to a room."


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BLOGTWIN_HOME"] = str(Path(folder) / "home")
        artifact = deployed(chosen, Path(folder))
        print(
            f"{machine.cores()} cores, load {os.getloadavg()[0]:.1f}; {Path(artifact.gguf).stat().st_size / 2**20:.0f} MiB"
        )
        with server(Path(folder), chosen.threads) as url:
            overhead(url, artifact, chosen)
            if chosen.seconds:
                load(url, chosen)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--shape", action="store_true")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=machine.cores())
    return parser.parse_args()


def deployed(chosen: argparse.Namespace, folder: Path) -> Artifact:
    """The model under its name in the embedded llama.cpp, as a deploy leaves it."""
    gguf = folder / "model.gguf"
    if chosen.shape:
        one_billion(chosen.base, gguf)
    else:
        write_gguf(chosen.base, gguf, "q8_0", "bench", Silent())
    template = template_for(read_vocabulary(chosen.base, WORDS).tokens)
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=40, min_p=0.05, repeat_penalty=1.0)
    artifact = Artifact(
        gguf=str(gguf),
        gguf_sha256=hash_file(gguf),
        quantization="q8_0",
        template=template.name,
        system="You write as the author of this blog.",
        sampling=sampling,
        context_length=CONTEXT,
    )
    LlamaCpp(chosen.threads).install(artifact, f"{TWIN}:latest", Silent())
    save_deployment(Deployment(name=f"{TWIN}:latest", runtime="llama-cpp", adapter=str(chosen.base), artifact=artifact))
    return artifact


@contextmanager
def server(folder: Path, threads: int) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "BLOGTWIN_DEPLOYMENT_MODEL_NAME": TWIN,
        "BLOGTWIN_DEPLOYMENT_RUNTIME": "llama-cpp",
        "BLOGTWIN_MACHINE_THREADS": str(threads),
        "BLOGTWIN_SERVER_PER_MINUTE": "1000000",
    }
    command = [sys.executable, "-m", "blogtwin", "serve", "--port", str(port)]
    running = subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                httpx.get(f"{url}/health", trust_env=False)
                break
            except httpx.TransportError:
                assert running.poll() is None, "the server ended"
                time.sleep(0.1)
        yield url
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(20)


def overhead(url: str, artifact: Artifact, chosen: argparse.Namespace) -> None:
    """The same question to both, in turn; each has loaded its model before."""
    direct, served = [], []
    with httpx.Client(base_url=url, trust_env=False, timeout=600) as client:
        for number in range(chosen.rounds + 1):
            sides = [(direct, lambda n=number: ask_runtime(artifact, chosen, n))]
            sides.append((served, lambda n=number: ask_server(client, chosen, n)))
            for figures, ask in sides if number % 2 else reversed(sides):
                figure = ask()
                if number:  # the first loads the model
                    figures.append(figure)
    first = [statistics.median(one[0] for one in side) * 1000 for side in (direct, served)]
    rate = [statistics.median(one[1] for one in side) for side in (direct, served)]
    print(f"first token, median of {chosen.rounds}: runtime {first[0]:.1f} ms, server {first[1]:.1f} ms, ", end="")
    print(f"difference {first[1] - first[0]:+.1f} ms (bound 10)")
    print(f"characters/s, median of {chosen.rounds}: runtime {rate[0]:.1f}, server {rate[1]:.1f}, ", end="")
    print(f"ratio {rate[1] / rate[0]:.3f} (bound 0.95)")
    print(
        f"from its last piece until a text is remembered: {statistics.median(one[2] for one in served) * 1000:.1f} ms"
    )


def ask_runtime(artifact: Artifact, chosen: argparse.Namespace, seed: int) -> tuple[float, float, float]:
    """Seconds to the first token, characters a second after it (of the same text), seconds from the last to the end."""
    sampling = artifact.sampling.model_copy(update={"seed": seed, "max_tokens": chosen.tokens, "temperature": 0.0})
    began = time.perf_counter()
    pieces = LlamaCpp(chosen.threads).chat(f"{TWIN}:latest", [Message(role="user", content=QUESTION)], sampling)
    length = len(next(pieces))
    first = time.perf_counter()
    length += sum(map(len, pieces))
    return first - began, length / (time.perf_counter() - first), 0.0


def ask_server(client: httpx.Client, chosen: argparse.Namespace, seed: int) -> tuple[float, float, float]:
    asked = {"prompt": QUESTION, "kind": "chat", "max_tokens": chosen.tokens, "temperature": 0, "stream": True}
    began, first, last, length = time.perf_counter(), 0.0, 0.0, 0
    with client.stream("POST", "/api/generate", json=asked) as answer:
        event = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                event = line[7:]
            elif event == "piece" and line.startswith("data: "):
                last = time.perf_counter()
                first = first or last
                length += len(json.loads(line[6:])["text"])
            elif event == "end":
                break
        ended = time.perf_counter()
    return first - began, length / (last - first), ended - last


def load(url: str, chosen: argparse.Namespace) -> None:
    """64 clients judge texts that were remembered before; two others have texts written all the time."""
    database = Database.open(None)
    store = Store(database, timedelta(minutes=60))
    many = int(chosen.seconds * (CLIENTS / chosen.pause if chosen.pause else 2000) * 1.2) + CLIENTS
    before = sum(1 for _ in store.rows())
    ids = [f"{number:032x}" for number in range(many)]
    for name in ids:
        store.remember(
            Generation(
                id=name,
                twin=TWIN,
                kind="write",
                subject="light",
                prompt=QUESTION,
                drafts=(Draft(version=f"{TWIN}:latest", text="Six o'clock, and drizzle. " * 40),),
                created_at=datetime.now(UTC),
            )
        )
    times, said, written = asyncio.run(everybody(url, ids, chosen))
    rows = {row.id: row.comment for row in store.rows(twin=TWIN)}
    lost = [name for name, comment in said.items() if rows.get(name) != comment]
    times.sort()
    pauses = f"{chosen.pause} s between two" if chosen.pause else "no pause"
    print(
        f"{CLIENTS} clients for {chosen.seconds:.0f} s, {pauses}; {written:,} pieces written for {WRITERS} others meanwhile"
    )
    print(f"judgements acknowledged {len(said):,}, in the database {len(rows) - before:,}, lost or changed {len(lost)}")
    told = ", ".join(f"p{p} {times[min(len(times) - 1, len(times) * p // 100)] * 1000:.1f} ms" for p in (50, 95, 99))
    print(f"a judgement: {told} (bound for p95: 50 ms); {len(times) / chosen.seconds:.0f} requests/s")


async def everybody(url: str, ids: list[str], chosen: argparse.Namespace) -> tuple[list[float], dict[str, str], int]:
    host, port = "127.0.0.1", int(url.rpartition(":")[2])
    times: list[float] = []
    said: dict[str, str] = {}
    until = time.perf_counter() + chosen.seconds
    waiting = iter(ids)
    written = 0

    async def judge(client: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        await asyncio.sleep(chosen.pause * client / CLIENTS)  # people do not click in step
        for turn, name in enumerate(waiting):
            if time.perf_counter() > until:
                break
            comment = f"by {client}, its {turn}."
            body = json.dumps({"rating": 1 if turn % 3 else -1, "comment": comment})
            for _ in range(1 + (turn % 5 == 0)):  # some say it twice, as a browser does that heard nothing
                began = time.perf_counter()
                status, _ = await post(reader, writer, f"/api/feedback/{name}", body)
                times.append(time.perf_counter() - began)
                assert status == 200, status
                said[name] = comment
            await asyncio.sleep(chosen.pause)
        writer.close()

    async def have_written() -> None:
        nonlocal written
        while time.perf_counter() < until:
            reader, writer = await asyncio.open_connection(host, port)
            asked = {"prompt": QUESTION, "max_tokens": 400, "stream": True}
            head(writer, "/api/generate", json.dumps(asked))
            while time.perf_counter() < until and (line := await reader.readline()):
                written += line.startswith(b"event: piece")
                if line.startswith(b"event: end"):
                    break
            writer.close()

    await asyncio.gather(*(judge(client) for client in range(CLIENTS)), *(have_written() for _ in range(WRITERS)))
    return times, said, written


def head(writer: asyncio.StreamWriter, path: str, body: str) -> None:
    request = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(request.encode() + body.encode())


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: str) -> tuple[int, bytes]:
    head(writer, path, body)
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, await reader.readexactly(length)


if __name__ == "__main__":
    main()
