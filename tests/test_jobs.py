"""Trainings of a server: queued, run one at a time as real processes, watched, stopped, and found again."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from blogtwin import jsonl
from blogtwin.cli import console, progress_file
from blogtwin.config import LearningSettings
from blogtwin.errors import ConfigError, UnknownRequest
from blogtwin.feedback import tables
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.server import job_worker
from blogtwin.server.job_process import LOG, PROGRESS
from blogtwin.server.job_progress import Reader
from blogtwin.server.job_queue import Job, Queue
from blogtwin.server.job_worker import Worker
from blogtwin.server.schedule import Schedule, upcoming
from blogtwin.service_records import Draft, Feedback
from blogtwin.stages.turn import alone
from blogtwin.workspace import Workspace
from server_twins import serving, settings
from training_runs import filled

LONG = 60.0  # seconds; everything here is over long before, on a machine that is not busy
TWIN = "my-twin"
# It waits for as long as the test holds the twin's lock, and then says that there is no such twin.
WAITS = ["learn", "--model-name", TWIN, "--wait"]


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database.open(None)
    yield opened
    opened.close()


@pytest.fixture
def shared(database_url: str) -> Iterator[Database]:
    """In SQLite and in PostgreSQL."""
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def queue(database: Database) -> Iterator[Queue]:
    """No process that a test began outlives it."""
    made = Queue(database)
    yield made
    for job in made.newest():
        if job.pid and psutil.pid_exists(job.pid) and os.getpgid(job.pid) == job.pid:
            os.killpg(job.pid, signal.SIGKILL)


@contextmanager
def at_work(queue: Queue, grace: float = 20.0) -> Iterator[Worker]:
    worker = Worker(queue, {}, grace)
    worker.start()
    try:
        yield worker
    finally:
        worker.close()


def until(true: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not come about in {LONG:.0f} s")


def in_state(queue: Queue, job: Job, *states: str) -> Job:
    def look() -> Job | None:
        now = queue.find(job.id)
        return now if now.state in states else None

    found: Job = until(look, f"{states} of {job.id}, which is {queue.find(job.id)}")
    return found


def process(job: Job) -> psutil.Process:
    assert job.pid is not None
    return psutil.Process(job.pid)


# --- one at a time


def test_jobs_run_one_after_the_other_in_their_order_and_tell_how_they_ended(queue: Queue) -> None:
    (Path("blog")).mkdir()
    (Path("blog") / "post.md").write_text("# A post\n\n" + "The kettle was there at six. " * 20, "utf-8")
    first, new = queue.add(TWIN, "one", ["ingest", "--input-dir", "blog", "--output", "posts.jsonl", "--json"])
    second, _ = queue.add(TWIN, "two", ["ingest", "--input-dir", "nowhere"])
    assert new
    with at_work(queue):
        first, second = (in_state(queue, job, "done", "failed") for job in (first, second))
    assert (first.state, first.error) == ("done", "")
    assert len(Path("posts.jsonl").read_text("utf-8").splitlines()) == 1
    assert json.loads((first.folder / "result.json").read_text("utf-8"))["counts"]["posts"] == 1
    assert second.state == "failed"
    assert second.error.splitlines()[0] == "the blog folder nowhere is not there"
    assert "--input-dir ./my-blog" in second.error
    assert first.ended_at
    assert second.started_at
    assert second.started_at >= first.ended_at


def test_two_servers_on_one_database_never_start_two_jobs(shared: Database) -> None:
    queue = Queue(shared)
    jobs = [queue.add(f"twin-{number}", "learn", ["learn", "--help"])[0] for number in range(6)]
    running: list[int] = []

    def watch() -> None:
        while not over.wait(0.01):
            running.append(sum(job.state in ("running", "stopping") for job in queue.newest()))

    over, watcher = threading.Event(), threading.Thread(target=watch)
    watcher.start()
    with at_work(queue), at_work(Queue(shared)):
        ended = [in_state(queue, job, "done", "failed") for job in jobs]
    over.set()
    watcher.join()
    assert max(running) == 1
    assert [job.state for job in ended] == ["done"] * 6
    for job in ended:
        assert (job.folder / "result.json").read_text("utf-8").count("Usage: blogtwin learn") == 1


def test_asking_twice_at_once_gives_one_job(shared: Database) -> None:
    queue = Queue(shared)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: queue.add(TWIN, "learn", WAITS), range(8)))
    assert len({job.id for job, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    assert queue.add("another", "learn", WAITS)[1]


def test_a_process_that_is_not_on_record_never_begins(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server dies between starting the process and committing its row."""
    job, _ = queue.add(TWIN, "learn", ["ingest", "--input-dir", "blog"])
    begun: list[Any] = []
    real = job_worker.job_process.begin

    def dies(*told: Any) -> Any:
        begun.append(real(*told))
        raise MemoryError

    monkeypatch.setattr(job_worker.job_process, "begin", dies)
    with pytest.raises(MemoryError):
        Worker(queue, {}).look()
    assert queue.find(job.id).state == "queued"
    begun[0].leave()
    assert begun[0].child.wait(LONG) == 0
    assert (job.folder / LOG).read_text("utf-8") == ""  # `ingest` would have said that the folder is not there
    assert not (job.folder / PROGRESS).exists()


def test_a_turn_that_made_no_version_says_why_in_its_last_remark(queue: Queue, database: Database) -> None:
    told = {"outcome": "refused", "sentence": "it is not let serve: it recites", "version": "my-twin:2026-11-21-ab12cd"}
    job, _ = queue.add(TWIN, "learn", WAITS)
    job.folder.mkdir(parents=True)
    (job.folder / "result.json").write_text(json.dumps(told), "utf-8")
    (job.folder / PROGRESS).write_text('{"exit": 0}\n', "utf-8")
    with database.writing() as connection:
        connection.execute(tables.jobs.update().values(state="running", host=queue.host, pid=0, pid_started=0.0))
    Worker(queue, {}).look()
    ended = queue.find(job.id)
    assert (ended.state, ended.version, ended.progress["notes"]) == ("done", None, ["it is not let serve: it recites"])


def test_a_twin_whose_folder_is_gone_fails_and_the_next_job_begins(queue: Queue, database: Database) -> None:
    with database.writing() as connection:
        connection.execute(tables.twins.insert().values(name=TWIN, folder="/nowhere", created_at=datetime.now(UTC)))
    gone, _ = queue.add(TWIN, "learn", ["learn", "--help"])
    fine, _ = queue.add("another", "learn", ["learn", "--help"])
    with at_work(queue):
        in_state(queue, fine, "done")
    assert "/nowhere, the folder in which my-twin is trained, is gone" in queue.find(gone.id).error


# --- stopped, and found again


def test_a_waiting_job_leaves_the_queue_and_a_running_one_is_stopped(queue: Queue) -> None:
    with alone(TWIN, wait=False), at_work(queue) as worker:
        running, _ = queue.add(TWIN, "learn", WAITS)
        waiting, _ = queue.add("another", "learn", WAITS)
        running = in_state(queue, running, "running")
        until(lambda: "Learning" in (running.folder / LOG).read_text("utf-8"), "the start of learning")
        assert queue.cancel(waiting.id).state == "cancelled"
        assert queue.cancel(running.id).state == "stopping"
        worker.wake()
        stopped = in_state(queue, running, "cancelled", "failed", "done")
    assert stopped.state == "cancelled"
    assert stopped.ended_at
    assert queue.find(waiting.id).started_at is None
    assert queue.cancel(running.id).state == "cancelled"  # once more changes nothing


def test_a_job_that_does_not_listen_is_killed_after_a_grace(queue: Queue) -> None:
    with alone(TWIN, wait=False), at_work(queue, grace=0.5):
        job = in_state(queue, queue.add(TWIN, "learn", WAITS)[0], "running")
        process(job).suspend()
        queue.cancel(job.id)
        assert in_state(queue, job, "cancelled").ended_at
        until(lambda: not psutil.pid_exists(job.pid or 0), "the end of the process")


def test_a_job_outlives_its_server_and_is_followed_by_the_next_one(queue: Queue, database: Database) -> None:
    with alone(TWIN, wait=False):
        with at_work(queue):
            job = in_state(queue, queue.add(TWIN, "learn", WAITS)[0], "running")
        assert process(job).is_running()
        other, _ = queue.add("another", "learn", ["learn", "--help"])
        worker = Worker(Queue(database), {})
        worker.look()
        assert queue.find(job.id).state == "running"
        assert queue.find(other.id).state == "queued"
    with at_work(Queue(database)):
        ended = in_state(queue, job, "failed", "done")
        assert "no twin named my-twin has been deployed" in ended.error
        in_state(queue, other, "done")


def test_a_number_that_another_process_has_now_is_left_alone(queue: Queue, database: Database) -> None:
    job, _ = queue.add(TWIN, "learn", WAITS)
    bystander = psutil.Process()  # this one
    row = {"state": "stopping", "pid": bystander.pid, "pid_started": bystander.create_time() - 3600}
    with database.writing() as connection:
        connection.execute(tables.jobs.update().values(row | {"host": queue.host}))
    Worker(queue, {}, grace=0).look()
    assert queue.find(job.id).state == "cancelled"


TRAINING = ["--threads", "1", "--epochs", "60", "--batch-size", "2", "--max-length", "256", "--lora-r", "4"]


def test_a_killed_training_is_marked_and_goes_on_where_it_was(queue: Queue, tiny_base: Path, tmp_path: Path) -> None:
    place = filled(tmp_path)
    told = ["finetune", "--data", str(place.training_data), "--output", str(place.model), "--patience", "1000"]
    job, _ = queue.add(TWIN, "train", [*told, "--base-model", str(tiny_base), *TRAINING, "--json"])
    with at_work(queue):
        running = in_state(queue, job, "running")
        until(lambda: len(queue.find(job.id).progress.get("losses", ())) > 1, "a curve")
        bars = queue.find(job.id).progress["bars"].values()
        assert any(bar["label"] == "Training" and 0 < bar["done"] < bar["total"] for bar in bars)
        assert process(running).nice() > 0
        until(lambda: list((place.model / ".training").glob("checkpoint-*/sealed.json")), "a checkpoint")
        os.killpg(process(running).pid, signal.SIGKILL)
        failed = in_state(queue, job, "failed", "done")
        assert failed.state == "failed"
        assert failed.error.startswith("it was ended by signal 9; started again, it goes on")
        again, new = queue.add(TWIN, "train", [*job.arguments, "--epochs", "60"])
        assert new
        going_on = in_state(queue, again, "running")
        until(lambda: "going on from step" in (going_on.folder / LOG).read_text("utf-8"), "that it goes on")
        queue.cancel(again.id)
        assert in_state(queue, again, "cancelled", "done").state == "cancelled"
    assert not list((place.model / ".training").glob("*.partial"))


# --- progress for machines


def test_what_is_drawn_is_told_to_machines_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_file, "_BETWEEN_LINES", 0.0)
    monkeypatch.setenv("BLOGTWIN_PROGRESS", str(tmp_path / "told.jsonl"))
    reader = Reader(tmp_path / "told.jsonl")
    assert not reader.read()
    with console.progress("") as progress:
        progress.note("2/5 prepare")
        with progress.task("Training", 8, "steps") as task:
            for step in range(3):
                task.advance(loss=f"{3 - step:.3f}")
            assert reader.read()
            (bar,) = reader.picture.bars.values()
            assert (bar.label, bar.done, bar.total, bar.unit, bar.figures) == (
                "Training",
                3,
                8,
                "steps",
                {"loss": "1.000"},
            )
    reader.read()
    assert (reader.picture.bars, reader.picture.notes) == ({}, ["2/5 prepare"])
    assert reader.picture.losses == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_few_lines_are_written_of_a_busy_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_PROGRESS", str(tmp_path / "told.jsonl"))
    with console.progress("") as progress, progress.task("Reading", 50_000) as task:
        for _ in range(50_000):
            task.advance()
    told = [line for _, line in jsonl.lines(tmp_path / "told.jsonl")]
    assert len(told) < 50
    assert (told[-1]["done"], told[-1]["ended"]) == (50_000, True)


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    reader = Reader(path)
    line = json.dumps({"note": "half"}).encode()
    path.write_bytes(line[:7])
    assert not reader.read()
    path.write_bytes(line + b"\nnonsense\n")
    assert reader.read()
    assert reader.picture.notes == ["half"]


def test_a_long_curve_is_thinned_and_keeps_its_ends(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    steps = [{"task": 1, "label": "T", "done": n, "figures": {"loss": str(n)}, "ended": False} for n in range(1, 5001)]
    path.write_text("".join(json.dumps(step) + "\n" for step in steps), "utf-8")
    reader = Reader(path)
    reader.read()
    assert 100 < len(reader.picture.losses) <= 241
    assert reader.picture.losses[0] == (1, 1.0)
    assert reader.picture.losses[-1][0] > 4900


# --- the clock


def test_cron_s_words_are_understood_and_nonsense_is_named() -> None:
    now = datetime(2026, 11, 21, 19, 30, tzinfo=UTC)
    assert upcoming("0 2 * * *", now) == datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
    for words in ("at two", "61 * * * *", "0 0 30 2 *"):
        with pytest.raises(ConfigError, match="schedule is") as caught:
            upcoming(words, now)
        assert "crontab" in caught.value.hint


def test_the_clock_queues_a_turn_when_it_is_time_and_only_if_it_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from blogtwin.server import schedule

    start = time.monotonic()
    night = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    monkeypatch.setattr(schedule, "_now", lambda: night + timedelta(seconds=time.monotonic() - start))
    due = threading.Event()
    settings = LearningSettings(schedule="0 0 * * *", scheduled=True)
    clock = Schedule(settings, due.set)
    clock.start()
    assert due.wait(10)
    clock.close()
    assert time.monotonic() - start > 0.9  # not before midnight
    quiet = threading.Event()
    off = Schedule(replace(settings, schedule="* * * * *", scheduled=False), quiet.set)
    off.start()
    off.close()
    assert not quiet.is_set()


# --- the API


def feedback(number: int) -> Feedback:
    now = datetime.now(UTC)
    draft = (Draft(version="my-twin:2026-11-21-ab12cd", text="x"),)
    told: dict[str, Any] = {"twin": TWIN, "kind": "write", "subject": "", "prompt": "P", "response": "x"}
    dates = {"created_at": now, "judged_at": now}
    return Feedback(id=f"f{number}", drafts=draft, version=draft[0].version, rating=1, **told, **dates)


@pytest.fixture
def client(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr("blogtwin.server.jobs.workspace.find_deployment", lambda name: name == TWIN or None)
    chosen = settings()
    with serving(chosen, Workspace.here(chosen)) as served:
        yield served.client


def test_training_needs_three_judgements_and_says_how_many_are_missing(
    client: httpx.Client, database: Database
) -> None:
    store = Store(database, timedelta(minutes=15))
    store.add([feedback(1), feedback(2)])
    refused = client.post("/api/train", json={"twin": TWIN})
    assert refused.status_code == 409
    assert refused.json()["error"] == "my-twin has 2 new judgements, and a training needs 3: 1 more"
    assert client.post("/api/train", json={"twin": "nobody"}).status_code == 404
    store.add([feedback(3)])
    with alone(TWIN, wait=False):
        accepted = client.post("/api/train", json={"twin": TWIN, "method": "dpo"})
        assert accepted.status_code == 202
        assert accepted.json()["state"] == "queued"


def test_a_training_is_watched_to_its_end(client: httpx.Client, database: Database, queue: Queue) -> None:
    Store(database, timedelta(minutes=15)).add(map(feedback, range(3)))
    job = client.post("/api/train", json={"twin": TWIN}).json()
    seen = []
    with client.stream("GET", f"/api/jobs/{job['id']}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        for line in events.iter_lines():
            seen += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
    assert seen[-1]["state"] == "failed"  # there is no such twin: `learn` itself looks
    assert "no twin named my-twin" in seen[-1]["error"]
    assert "Learning" in seen[-1]["log"]
    shown = client.get(f"/api/jobs/{job['id']}").json()
    assert {key: shown[key] for key in ("state", "error")} == {key: seen[-1][key] for key in ("state", "error")}
    assert [one["id"] for one in client.get("/api/jobs").json()["jobs"]] == [job["id"]]
    assert client.get("/api/jobs", params={"twin": "another"}).json() == {"jobs": []}
    again = client.post(f"/api/jobs/{job['id']}/again").json()
    assert again["id"] != job["id"]
    assert queue.find(again["id"]).arguments == queue.find(job["id"]).arguments
    gone = client.delete(f"/api/jobs/{again['id']}")
    assert gone.status_code == 200
    assert in_state(queue, queue.find(again["id"]), "cancelled", "failed")


def test_a_job_that_is_none_is_not_found(client: httpx.Client, queue: Queue) -> None:
    for ask in (client.get, client.delete):
        assert ask("/api/jobs/nothing").status_code == 404
    assert client.get("/api/jobs/nothing/events").status_code == 404
    with pytest.raises(UnknownRequest):
        queue.find("nothing")
