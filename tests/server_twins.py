"""Twins for the tests of the server: deployed for real into the embedded llama.cpp, and an application that serves them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from blogtwin import jsonl
from blogtwin.config import Settings, load_settings
from blogtwin.progress import Silent
from blogtwin.records import Post
from blogtwin.runtimes.answer import Answer
from blogtwin.server.app import create_app
from blogtwin.stages import deploy
from blogtwin.workspace import Workspace
from conftest import EXAMPLES

NOBODY = "http://127.0.0.1:1"  # no Ollama there
TWIN = "my-twin"


def settings(**sections: dict[str, Any]) -> Settings:
    """A twin in the embedded llama.cpp, on one thread; more as section → key → value."""
    own: dict[str, dict[str, Any]] = {
        "deployment": {
            "model_name": f"{TWIN}:latest",
            "ollama_base_url": NOBODY,
            "runtime": "llama-cpp",
            "quantize": "f16",
        },
        "machine": {"threads": 1},
        "server": {"per_minute": 100_000},
    }
    for section, values in sections.items():
        own[section] = own.get(section, {}) | values
    return load_settings(None, own)


def workshop(adapter: Path, folder: Path, mode: str = "merged") -> Workspace:
    """A folder of work, entered by the caller, whose twin is deployed into the home that is set; with its posts."""
    chosen = settings(deployment={"mode": mode})
    here = Workspace.here(chosen)
    made = replace(
        here, posts=folder / here.posts, training_data=folder / here.training_data, model=folder / here.model
    )
    shutil.copytree(adapter, made.model)
    posts = [
        Post(
            id=f"{number:016x}",
            path=path.name,
            title=path.stem,
            text=path.read_text("utf-8"),
            format="markdown",
            word_count=len(path.read_text("utf-8").split()),
            created_at=None,
            created_from=None,
            tags=("tides",) if number % 2 else ("bread", "mornings"),
        )
        for number, path in enumerate(sorted(EXAMPLES.glob("*.md")))
    ]
    jsonl.write(made.posts, posts)
    deploy.run(chosen, made, Silent())
    return made


@dataclass
class Served:
    """An application that listens. client: asks it."""

    url: str
    client: httpx.Client
    app: Any


@contextlib.contextmanager
def _never_silent() -> Iterator[None]:
    """Random weights end an answer before its first word once in some hundreds of times; then it is this one."""
    plain = Answer.__next__
    spoke: weakref.WeakSet[Answer] = weakref.WeakSet()

    def speaking(answer: Answer) -> str:
        try:
            piece = plain(answer)
        except StopIteration:
            if answer in spoke or answer._connection.is_cut:
                raise
            piece = "Well."
        if piece.strip():
            spoke.add(answer)
        return piece

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answer, "__next__", speaking)
        yield


@contextlib.contextmanager
def serving(chosen: Settings, workspace: Workspace) -> Iterator[Served]:
    """The real server on a free port of the loopback device, in a thread of this process."""
    app = create_app(chosen, workspace)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run)
    with _never_silent():
        thread.start()
        try:
            until = time.monotonic() + 30
            while not server.started:
                assert thread.is_alive(), "the server ended"
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.02)
            port = server.servers[0].sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield Served(url, client, app)
        finally:
            server.should_exit = True
            thread.join(30)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def process(folder: Path, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`blogtwin serve` in a process of its own, until the block ends; it may have been killed by then."""
    variables = os.environ | {"BLOGTWIN_SERVER_PER_MINUTE": "100000"} | environment
    command = [sys.executable, "-m", "blogtwin", "serve", "--port", str(port)]
    with (folder / f"serve-{port}.log").open("ab") as log:
        running = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
            running.wait(20)


def wait_for(url: str, running: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Until it answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert running.poll() is None, "the server ended"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/health", trust_env=False)
            return
        time.sleep(0.05)
    raise AssertionError("the server did not answer")
