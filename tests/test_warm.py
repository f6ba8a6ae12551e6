"""The embedded llama.cpp: models that stay warm, several conversations at once, and what the machine allows."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from blogtwin import workspace
from blogtwin.errors import RuntimeUnavailable
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message
from blogtwin.runtimes import machine
from blogtwin.runtimes.answer import Answer
from blogtwin.runtimes.footprint import Footprint, fitting, footprint
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.llama_server import LlamaServer
from blogtwin.runtimes.warm import MODELS, Wanted, Warm
from test_export import SAMPLING
from tiny_models import QUESTIONS, conversation

USER = Message(role="user", content="A")
ENDLESS = (
    SAMPLING.greedy(100_000),
    conversation(QUESTIONS[2]),
)
CHANCE = SAMPLING.model_copy(update={"temperature": 1.5, "top_p": 1.0, "min_p": 0.0, "max_tokens": 40})
GIB = 2**30


@pytest.fixture
def runtime(artifact: Artifact) -> LlamaCpp:
    """With a twin called `my-twin`."""
    made = LlamaCpp(threads=1)
    made.install(artifact, "my-twin", Silent())
    return made


@pytest.fixture
def wide(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> LlamaCpp:
    """The same, with room for answers that take a minute, as they do not end by themselves. Its parameter: places."""
    stream = LlamaServer.stream
    monkeypatch.setattr(
        LlamaServer, "stream", lambda self, path, body, way: stream(self, path, body | {"ignore_eos": True}, way)
    )
    made = LlamaCpp(threads=1, slots=getattr(request, "param", 4))
    made.install(_longer(artifact, tmp_path), "my-twin", Silent())
    return made


def _longer(artifact: Artifact, folder: Path) -> Artifact:
    """The same model, said to have been trained with 131,072 tokens: llama.cpp ends an answer where training ended."""
    from gguf import GGUFReader

    (path,) = copies(artifact, folder, 1)
    field = GGUFReader(path, "r+").fields["llama.context_length"]
    field.parts[field.data[0]][0] = 131072
    return artifact.model_copy(update={"gguf": str(path), "gguf_sha256": hash_file(path), "context_length": 131072})


def endless(runtime: LlamaCpp) -> Answer:
    sampling, messages = ENDLESS
    return runtime.chat("my-twin", messages, sampling)


def wanted(gguf: Path, context: int = 512, slots: int = 1) -> Wanted:
    return Wanted(gguf, None, context, 1, slots)


def copies(artifact: Artifact, folder: Path, count: int) -> list[Path]:
    made = [folder / f"{number}.gguf" for number in range(count)]
    for path in made:
        path.write_bytes(Path(artifact.gguf).read_bytes())
    return made


def answer(runtime: LlamaCpp, question: str) -> str:
    return "".join(runtime.chat("my-twin", conversation(question), SAMPLING.greedy(32)))


def busy(address: str, secret: str) -> int:
    """How many conversations the server is in, as it says itself."""
    slots = httpx.get(f"{address}/slots", headers={"Authorization": f"Bearer {secret}"}).json()
    return sum(slot["is_processing"] for slot in slots)


def test_a_served_twin_outlives_its_project_and_leaves_nothing_behind(artifact: Artifact, tmp_path: Path) -> None:
    project = tmp_path / "model.gguf"
    project.write_bytes(Path(artifact.gguf).read_bytes())
    runtime = LlamaCpp(threads=1)
    runtime.install(artifact.model_copy(update={"gguf": str(project)}), "my-twin", Silent())
    (blob,) = (workspace.home() / "served" / "blobs").iterdir()
    assert blob.samefile(project)  # no byte is stored twice
    project.unlink()
    assert answer(runtime, QUESTIONS[0])
    runtime.remove("my-twin")
    assert list((workspace.home() / "served" / "blobs").iterdir()) == []
    assert not any(one.gguf == blob for one in MODELS._loaded)  # nor does it stay in the memory


def test_a_model_is_loaded_once_and_stays_warm(runtime: LlamaCpp, capfd: pytest.CaptureFixture[str]) -> None:
    with runtime._asking("my-twin") as first:
        pass
    assert answer(LlamaCpp(threads=1), QUESTIONS[0])
    with LlamaCpp(threads=1)._asking("my-twin") as second:
        assert second is first
    told = capfd.readouterr()
    assert told.out == told.err == ""  # llama.cpp's own log stays off the terminal


def test_others_on_this_machine_cannot_use_the_embedded_server(runtime: LlamaCpp) -> None:
    with runtime._asking("my-twin") as server:
        for path in ("apply-template", "v1/chat/completions"):
            assert httpx.post(f"{server.address}/{path}", json={"messages": []}).status_code == 401
        assert httpx.get(f"{server.address}/slots").status_code == 401


def test_a_prompt_longer_than_the_context_is_refused_in_words(runtime: LlamaCpp) -> None:
    with pytest.raises(RuntimeUnavailable, match="context"):
        list(runtime.chat("my-twin", [Message(role="user", content="word " * 2000)], SAMPLING))


def test_a_stopped_answer_leaves_its_place_to_the_next_one_at_once(wide: LlamaCpp) -> None:
    runtime = wide
    with runtime._asking("my-twin") as server:
        running = [endless(runtime) for _ in range(server.slots)]
        assert [bool(next(pieces)) for pieces in running] == [True] * server.slots
        assert busy(server.address, server._secret) == server.slots
        for pieces in running:
            pieces.close()
        until = time.monotonic() + 10
        while busy(server.address, server._secret):
            assert time.monotonic() < until, "a place is still taken"


def test_two_people_are_answered_at_the_same_time(wide: LlamaCpp) -> None:
    runtime = wide
    assert runtime.concurrency("my-twin") >= 2
    first = endless(runtime)
    assert next(first)
    assert answer(runtime, QUESTIONS[0])  # while the first goes on
    assert next(first)
    first.close()


def test_one_at_a_time_a_seed_gives_the_same_words_whoever_else_asks(artifact: Artifact) -> None:
    runtime = LlamaCpp(threads=1, slots=1)
    runtime.install(artifact, "my-twin", Silent())
    assert runtime.concurrency("my-twin") == 1

    def told(seed: int) -> str:
        return "".join(runtime.chat("my-twin", [USER], CHANCE.model_copy(update={"seed": seed})))

    alone = [told(seed) for seed in range(8)]
    assert len(set(alone)) == 8
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(told, range(8))) == alone


def test_the_number_of_places_changes_nothing_for_one_who_asks_alone(artifact: Artifact) -> None:
    told = []
    for slots in (1, 4):
        runtime = LlamaCpp(threads=1, slots=slots)
        runtime.install(artifact, "my-twin", Silent())
        told.append(
            ["".join(runtime.chat("my-twin", [USER], CHANCE.model_copy(update={"seed": seed}))) for seed in range(8)]
        )
    assert told[0] == told[1]


def test_the_model_not_asked_for_longest_goes_first_and_never_one_that_answers(
    artifact: Artifact, tmp_path: Path
) -> None:
    first, second, third = copies(artifact, tmp_path, 3)
    size = footprint(first).total(512, 1)
    warm = Warm(lambda: int(2.5 * size), patience=0.2)
    with warm.lent(wanted(first)) as one:
        with warm.lent(wanted(second)):
            pass
        with warm.lent(wanted(third)):  # the first is older, but it is answering
            assert [held.gguf for held in warm._loaded] == [first, third]
            with pytest.raises(RuntimeUnavailable, match="beside the models that are answering"):
                warm.lent(wanted(second)).__enter__()
        assert httpx.get(f"{one.address}/health").status_code == 200
    with warm.lent(wanted(third)), warm.lent(wanted(second)):
        assert [held.gguf for held in warm._loaded] == [third, second]
    warm.close()
    assert not warm._loaded


def test_who_has_no_room_waits_until_another_has_answered(artifact: Artifact, tmp_path: Path) -> None:
    first, second = copies(artifact, tmp_path, 2)
    warm = Warm(lambda: int(1.5 * footprint(first).total(512, 1)), patience=30)
    with ThreadPoolExecutor(1) as pool:
        with warm.lent(wanted(first)):
            waiting = pool.submit(lambda: warm.lent(wanted(second)).__enter__().address)
            time.sleep(0.1)
            assert not waiting.done()
        assert waiting.result(timeout=10).startswith("http://127.0.0.1")
    warm.close()


def test_what_nobody_asks_for_is_given_back_and_loaded_again(runtime: LlamaCpp) -> None:
    with runtime._asking("my-twin") as first:
        runtime.release()  # in use
        assert busy(first.address, first._secret) == 0
    runtime.release(idle=60)
    assert any(held.gguf.parent == (workspace.home() / "served" / "blobs").absolute() for held in MODELS._loaded)
    runtime.release()
    assert not MODELS._loaded
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{first.address}/health")
    assert answer(runtime, QUESTIONS[0])


def test_a_process_ends_at_once_in_the_middle_of_an_answer(artifact: Artifact, tmp_path: Path) -> None:
    long = _longer(artifact, tmp_path).model_dump_json()
    program = f"""
import sys, threading
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent
from blogtwin.records import Artifact
from blogtwin.runtimes.llama_cpp import LlamaCpp
from test_warm import endless
runtime = LlamaCpp(threads=1)
runtime.install(Artifact.model_validate_json({long!r}), "my-twin", Silent())
def read(first):
    for piece in endless(runtime):
        first.set()
first = threading.Event()
threading.Thread(target=read, args=(first,), daemon=True).start()
held = endless(runtime)
print(len(next(held)) > 0, first.wait(30))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        env={"BLOGTWIN_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "True True\n"), ended.stderr


def test_what_a_model_needs_is_read_from_its_head(artifact: Artifact) -> None:
    needs = footprint(Path(artifact.gguf))
    assert needs.weights == Path(artifact.gguf).stat().st_size
    assert needs.per_token == 2 * 2 * (16 + 16) * 2  # layers, heads, keys and values, bytes
    assert needs.total(512, 4) - needs.total(512, 3) == 512 * needs.per_token


def test_memory_decides_how_many_at_once_and_then_how_much_each_sees() -> None:
    needs = Footprint(weights=GIB, per_token=2**17, scratch=2**28)  # half a GiB for 4,096 tokens
    assert fitting(needs, 4096, 4, None, "it") == (4096, 4)
    assert fitting(needs, 4096, 4, 8 * GIB, "it") == (4096, 4)
    assert fitting(needs, 4096, 4, int(2.5 * GIB), "it") == (4096, 2)
    assert fitting(needs, 4096, 4, int(1.6 * GIB), "it") == (2048, 1)
    with pytest.raises(RuntimeUnavailable, match=r"it needs 1\.4 GiB of memory, and .* 1\.0 GiB") as refusal:
        fitting(needs, 4096, 4, GIB, "it")
    assert "--quantize" in refusal.value.hint


def test_a_model_too_large_for_the_machine_is_refused_before_it_is_loaded(artifact: Artifact) -> None:
    warm = Warm(lambda: Path(artifact.gguf).stat().st_size)
    with pytest.raises(RuntimeUnavailable, match="of memory"):
        warm.lent(wanted(Path(artifact.gguf))).__enter__()
    assert not warm._loaded


@pytest.mark.parametrize("broken", [b"", b"GGUF", b"no model" * 9, b"GGUF\3\0\0\0" + b"\xff" * 16 + b"\x09" * 64])
def test_a_file_that_is_no_model_is_refused_in_words(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(broken)
    with pytest.raises(RuntimeUnavailable, match=r"model\.gguf is not a model file"):
        footprint(path)


def _machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_threads_are_physical_cores_within_what_a_container_pays_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    topology = {
        f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list": f"{number % 4},{number % 4 + 4}\n"
        for number in range(8)
    }
    root = _machine(tmp_path, topology)
    assert machine.cores(root) == 4
    _machine(root, {"proc/self/cgroup": "0::/box/inner\n", "sys/fs/cgroup/box/cpu.max": "250000 100000\n"})
    assert machine.cores(root) == 2  # two and a half processors' time, set above the innermost group
    _machine(root, {"sys/fs/cgroup/box/inner/cpu.max": "max 100000\n"})
    assert machine.cores(root) == 2
    _machine(root, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"})
    assert machine.cores(root) == 1


def test_memory_is_what_a_container_may_use(tmp_path: Path) -> None:
    installed = machine.memory(tmp_path)
    assert installed is None or installed > 2**20
    root = _machine(tmp_path, {"proc/self/cgroup": "0::/box\n", "sys/fs/cgroup/box/memory.max": "1048576\n"})
    assert machine.memory(root) in (None, 1048576)


@pytest.mark.parametrize("wide", [1], indirect=True)
def test_stopping_while_another_is_answered_returns_at_once(wide: LlamaCpp) -> None:
    """Nothing has come back yet that could be closed."""
    runtime = wide
    running = endless(runtime)
    assert next(running)
    waiting = endless(runtime)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, waiting)
        time.sleep(0.2)
        assert not reading.done()
        waiting.close()
        assert reading.result(timeout=5) == []
    running.close()
    assert answer(runtime, QUESTIONS[0])
