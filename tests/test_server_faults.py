"""What the server does when something dies: itself, the runtime, or the client's patience. With real processes."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blogtwin import workspace
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Deployment
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.llama_server import LlamaServer
from blogtwin.runtimes.warm import MODELS
from blogtwin.workspace import Workspace, save_deployment
from server_twins import TWIN, Served, free_port, process, serving, settings, wait_for
from test_warm import _longer, busy


def deployed(artifact: Artifact) -> None:
    """As a deploy would leave it, without its proof."""
    LlamaCpp(threads=1).install(artifact, f"{TWIN}:latest", Silent())
    save_deployment(Deployment(name=f"{TWIN}:latest", runtime="llama-cpp", adapter="/nowhere", artifact=artifact))


@pytest.fixture
def endless(artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A twin that does not stop by itself."""
    stream = LlamaServer.stream
    monkeypatch.setattr(
        LlamaServer, "stream", lambda self, path, body, way: stream(self, path, body | {"ignore_eos": True}, way)
    )
    monkeypatch.chdir(tmp_path)
    deployed(_longer(artifact, tmp_path))
    chosen = settings()
    with serving(chosen, Workspace.here(chosen)) as there:
        yield there
    MODELS.close()


LONG = {"prompt": "tides", "max_tokens": 30_000}


def taken() -> int:
    """Places of the embedded llama.cpp that are writing."""
    return sum(busy(one.server.address, one.server._secret) for one in list(MODELS._loaded.values()))


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.parametrize("options", [1, 3])
def test_closing_the_stream_stops_the_generation_and_keeps_what_was_written(endless: Served, options: int) -> None:
    asked = LONG | {"stream": True, "options": options}
    with endless.client.stream("POST", "/api/generate", json=asked) as answer:
        lines = answer.iter_lines()
        started = json.loads(next(line for line in lines if line.startswith("data")).removeprefix("data: "))
        for _ in range(20):
            next(lines)
        assert taken() >= 1
    began = time.monotonic()
    judged = endless.client.post(f"/api/feedback/{started['request_id']}", json={"rating": -1})
    assert judged.status_code == 200, judged.text
    assert judged.json()["response"]
    until(lambda: not taken(), 8)  # the whole would take some twenty seconds
    assert time.monotonic() - began < 8


def test_leaving_before_a_whole_text_came_stops_it_too(endless: Served, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(httpx.ReadTimeout):
        endless.client.post("/api/generate", json=LONG, timeout=1.5)
    until(lambda: not taken(), 8)
    assert endless.client.get("/health").status_code == 200
    assert not [record for record in caplog.records if record.exc_info]  # it is no fault of anybody's


def test_others_are_answered_while_texts_are_written(endless: Served) -> None:
    reading: list[Iterator[str]] = []
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            answer = stack.enter_context(
                endless.client.stream("POST", "/api/generate", json=LONG | {"stream": True, "options": 2})
            )
            reading.append(answer.iter_lines())  # forgotten, it would close the stream
            next(reading[-1])
        until(lambda: taken() >= 2)
        for path in ("/health", "/api/models", "/api/feedback/stats", "/"):
            began = time.monotonic()
            assert endless.client.get(path).status_code == 200
            assert time.monotonic() - began < 5, path


def test_a_runtime_that_dies_is_said_to_have_and_is_there_again(endless: Served) -> None:
    with endless.client.stream("POST", "/api/generate", json=LONG | {"stream": True}) as answer:
        lines = answer.iter_lines()
        for _ in range(10):
            next(lines)
        MODELS.close()  # its server ends in the middle of the answer
        rest = "\n".join(lines)
    kind, _, data = rest.strip().rpartition("data: ")
    assert kind.strip().endswith("event: error") or kind.strip().endswith("event: end")
    told = json.loads(data)
    assert "llama.cpp" in told.get("error", "llama.cpp")
    again = endless.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 5})
    assert again.status_code == 200, again.text


def test_a_model_file_that_is_gone_is_said_to_be_and_other_requests_go_on(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deployed(artifact)
    chosen = settings()
    with serving(chosen, Workspace.here(chosen)) as there:
        until(lambda: MODELS._loaded)  # at the start; given back when nobody asks
        MODELS.close()
        for blob in (workspace.home() / "served" / "blobs").iterdir():
            blob.rename(tmp_path / blob.name)
        answer = there.client.post("/api/generate", json={"prompt": "tides"})
        assert answer.status_code == 503
        assert "sha256-" in answer.json()["error"]
        assert "blogtwin deploy" in answer.json()["hint"]
        streamed = there.client.post("/api/generate", json={"prompt": "tides", "stream": True}).text
        assert "event: error" in streamed
        for blob in tmp_path.glob("sha256-*"):
            blob.rename(workspace.home() / "served" / "blobs" / blob.name)
        assert there.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 5}).status_code == 200


def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_writing(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight clients judge as fast as they can; the server is killed, started again, and asked for all of it."""
    deployed(artifact)
    (tmp_path / "pipeline_config.yaml").write_text(
        f"deployment: {{model_name: {TWIN}, runtime: llama-cpp}}\nmachine: {{threads: 1}}\n", encoding="utf-8"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    acknowledged: dict[str, str] = {}
    with process(tmp_path, port) as running:
        wait_for(url, running)
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            ids = []
            for _ in range(8):
                told = client.post("/api/generate", json={"prompt": "tides", "max_tokens": 3}).json()
                ids.append(told["request_id"])

        def judge(name: str) -> None:
            with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
                for number in range(10_000):
                    comment = f"{name} {number}"
                    try:
                        answer = client.post(f"/api/feedback/{name}", json={"rating": 1, "comment": comment})
                    except httpx.TransportError:
                        return
                    if answer.status_code == 200:
                        acknowledged[name] = comment

        threads = [threading.Thread(target=judge, args=(name,)) for name in ids]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) == 8, 20)
        time.sleep(0.5)
        running.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join(10)
    assert len(acknowledged) == 8
    with process(tmp_path, port) as running:
        wait_for(url, running)
        rows = [json.loads(line) for line in httpx.get(f"{url}/api/feedback/export", trust_env=False).text.splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(ids)
    for row in rows:
        said, kept = (int(text.split()[1]) for text in (acknowledged[row["id"]], row["comment"]))
        assert kept in (said, said + 1)  # the last one may have been written, and its answer cut off
    with contextlib.closing(sqlite3.connect(workspace.home() / "feedback.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_ctrl_c_ends_the_server_quietly_and_a_port_in_use_is_said_to_be(tmp_path: Path) -> None:
    port = free_port()
    with process(tmp_path, port) as running:
        wait_for(f"http://127.0.0.1:{port}", running)
        with process(tmp_path, port) as second:
            assert second.wait(20) == 2
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    log = (tmp_path / f"serve-{port}.log").read_text("utf-8")
    assert f"port {port} is in use" in log
    assert f"--port {port + 1}" in log
    assert "Traceback" not in log


def test_a_locked_database_holds_up_judgements_alone_and_they_are_kept_when_it_is_free(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deployed(artifact)
    chosen = settings()
    with serving(chosen, Workspace.here(chosen)) as there:
        asked = {"prompt": "tides", "max_tokens": 3}
        name = there.client.post("/api/generate", json=asked).json()["request_id"]
        statuses: list[int] = []

        def judge(number: int) -> None:
            with httpx.Client(base_url=there.url, trust_env=False, timeout=60) as client:
                statuses.append(client.post(f"/api/feedback/{name}", json={"comment": str(number)}).status_code)

        with contextlib.closing(sqlite3.connect(workspace.home() / "feedback.db")) as other:
            other.execute("BEGIN IMMEDIATE")  # another program writes, and takes its time
            threads = [threading.Thread(target=judge, args=(number,)) for number in range(50)]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            for path in ("/health", "/api/models", "/", "/api/feedback/stats"):
                assert there.client.get(path, timeout=10).status_code == 200
            with there.client.stream("POST", "/api/generate", json=asked | {"stream": True}, timeout=10) as answer:
                assert next(answer.iter_lines()) == "event: start"
            assert not statuses
            other.execute("COMMIT")
        for thread in threads:
            thread.join(30)
        assert statuses == [200] * 50


def test_memory_that_nobody_asks_for_is_given_back_and_comes_again(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deployed(artifact)
    chosen = settings(server={"idle_minutes": 0.005})
    with serving(chosen, Workspace.here(chosen)) as there:
        for _ in range(2):
            assert there.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 3}).status_code == 200
            until(lambda: not MODELS._loaded)
