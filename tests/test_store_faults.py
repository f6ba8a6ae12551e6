"""What goes wrong around the database costs nothing that was acknowledged, and is told with its remedy."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from blogtwin.errors import OutputError, StoreError
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.service_records import Judgement
from test_store import LIFE, generation, judged

if TYPE_CHECKING:
    from postgres_server import PostgresServer

# Judges one text after another and tells each id when, and only when, its judgement was acknowledged.
WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.service_records import Draft, Generation, Judgement
store = Store(Database.open(sys.argv[1]), timedelta(minutes=15))
for number in range(1_000_000):
    id = f"{sys.argv[2]}-{number}"
    draft = Draft(version="my-twin:1", text="text " * 200)
    store.remember(Generation(
        id=id, twin="my-twin", kind="write", subject="s", prompt="p", drafts=(draft,), created_at=datetime.now(UTC)))
    store.judge(id, Judgement(rating=1))
    sys.stdout.write(id + "\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def opened() -> Iterator[Callable[..., Database]]:
    """Opens databases that are closed at the end."""
    with contextlib.ExitStack() as stack:

        def open(url: str, wait: float = 15.0) -> Database:
            database = Database.open(url, wait)
            stack.callback(database.close)
            return database

        yield open


def test_a_process_killed_in_the_middle_of_writes_loses_nothing_it_acknowledged(
    database_url: str, tmp_path: Path, opened: Callable[..., Database]
) -> None:
    store = Store(opened(database_url), LIFE)
    told = [tmp_path / f"told-{n}" for n in range(2)]
    writers = []
    for n, path in enumerate(told):
        with path.open("w") as out:
            writers.append(subprocess.Popen([sys.executable, "-c", WRITER, database_url, f"{n}"], stdout=out))
    until = time.monotonic() + 60
    while min(path.stat().st_size for path in told) < 200 and time.monotonic() < until:
        time.sleep(0.02)
    for writer in writers:
        writer.kill()
        writer.wait()
    # A last line that was cut off names an earlier id, or none.
    acknowledged = {line for path in told for line in path.read_text().splitlines() if line[2:]}
    kept = [row.id for row in store.rows()]
    assert len(kept) == len(set(kept))
    assert len(acknowledged) > 20
    assert acknowledged <= set(kept)
    assert len(kept) <= len(acknowledged) + 2, "at most the one of each writer that was committed and not yet told"


def test_programs_that_open_a_new_database_at_once_make_it_once(
    database_url: str, opened: Callable[..., Database]
) -> None:
    script = "import sys; from blogtwin.feedback.database import Database; sys.stdin.read(1); Database.open(sys.argv[1]).check()"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", script, database_url], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("g")
        program.stdin.flush()
    assert [program.communicate(timeout=60)[1] for program in programs] == [""] * 3
    assert [program.returncode for program in programs] == [0] * 3
    database = opened(database_url)
    with database.reading() as connection:
        from sqlalchemy import text

        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1


def test_a_database_of_a_newer_blogtwin_is_refused_with_the_remedy_and_left_alone(
    database_url: str, opened: Callable[..., Database]
) -> None:
    from sqlalchemy import text

    database = opened(database_url)
    Store(database, LIFE).add([judged("a")])
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError) as refused:
        opened(database_url)
    assert "9999" in refused.value.message
    assert "pip install -U blogtwin" in refused.value.hint
    assert "keep-this-secret" not in refused.value.message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "feedback.db"


@pytest.fixture
def holder(file: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection, which holds the write lock."""
    Database.open(f"sqlite:///{file}").close()
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_a_locked_database_is_waited_for(
    file: Path, holder: sqlite3.Connection, opened: Callable[..., Database]
) -> None:
    store = Store(opened(f"sqlite:///{file}"), LIFE)
    release = threading.Timer(0.5, holder.execute, ["ROLLBACK"])
    began = time.monotonic()
    release.start()
    assert store.add([judged("a")]) == 1
    assert time.monotonic() - began > 0.4
    release.join()


def test_a_database_that_stays_locked_is_named_and_can_still_be_read(
    file: Path, holder: sqlite3.Connection, opened: Callable[..., Database]
) -> None:
    store = Store(opened(f"sqlite:///{file}", wait=1.0), LIFE)
    with pytest.raises(StoreError, match="has been locked by another program for 1 seconds") as refused:
        store.add([judged("a")])
    assert str(file) in refused.value.message
    assert refused.value.hint
    assert list(store.rows()) == []


def test_a_full_disk_is_told_loses_nothing_and_is_forgotten_when_there_is_space(file: Path) -> None:
    script = """
import resource, sys
from datetime import UTC, datetime, timedelta
from blogtwin.errors import StoreError
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.service_records import Draft, Generation, Judgement
store = Store(Database.open(f"sqlite:///{sys.argv[1]}"), timedelta(minutes=15))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
def write(number):
    draft = Draft(version="my-twin:1", text="text " * 2000)
    store.remember(Generation(
        id=str(number), twin="my-twin", kind="write", subject="s", prompt="p", drafts=(draft,), created_at=datetime.now(UTC)))
    store.judge(str(number), Judgement(rating=1))
acknowledged = []
try:
    for number in range(1000):
        write(number)
        acknowledged.append(str(number))
except StoreError as full:
    print(full.message, "|", full.hint)
assert [row.id for row in store.rows()] and set(acknowledged) <= {row.id for row in store.rows()}
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write("later")
acknowledged.append("later")
print(" ".join(acknowledged))
"""
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    message, acknowledged = done.stdout.splitlines()
    assert str(file) in message
    assert "cannot" in message
    assert "space" in message
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {id for (id,) in connection.execute("SELECT id FROM feedback")}
    connection.close()
    assert len(acknowledged.split()) > 5
    assert set(acknowledged.split()) <= kept


def test_a_file_that_is_no_database_is_left_alone(file: Path, opened: Callable[..., Database]) -> None:
    file.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreError, match="is not a database"):
        opened(f"sqlite:///{file}")
    assert file.read_bytes() == b"Dear diary, " * 1000


def test_a_damaged_file_is_told(file: Path, opened: Callable[..., Database]) -> None:
    store = Store(opened(f"sqlite:///{file}"), LIFE)
    store.add(judged(f"{n:04}") for n in range(400))
    store.forget(ids=["0000"])  # which empties the log
    content = bytearray(file.read_bytes())
    for page in range(4096 * 2, len(content), 4096):
        content[page : page + 64] = b"\xff" * 64
    file.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        list(Store(opened(f"sqlite:///{file}"), LIFE).rows())


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, opened: Callable[..., Database]) -> None:
    (tmp_path / "note").write_text("a file")
    with pytest.raises(OutputError, match="not a folder"):
        opened(f"sqlite:///{tmp_path / 'note' / 'feedback.db'}")


def test_the_database_can_be_read_by_its_owner_alone(file: Path, opened: Callable[..., Database]) -> None:
    Store(opened(f"sqlite:///{file}"), LIFE).add([judged("a")])
    assert {path.stat().st_mode & 0o777 for path in file.parent.glob("feedback.db*")} == {0o600}


def test_what_is_forgotten_leaves_the_files(file: Path, opened: Callable[..., Database]) -> None:
    database = opened(f"sqlite:///{file}")
    store = Store(database, LIFE)
    store.add([judged("a").model_copy(update={"comment": "the secret garden"}), judged("b")])
    store.remember(generation("c", subject="the secret garden"))

    def written() -> bytes:
        return b"".join(path.read_bytes() for path in file.parent.glob("feedback.db*"))

    assert b"the secret garden" in written()
    store.forget(ids=["a", "c"])
    assert b"the secret garden" not in written()
    assert [row.id for row in store.rows()] == ["b"]


def test_writes_wait_for_a_postgresql_that_is_gone_for_ten_seconds(
    postgres: PostgresServer, opened: Callable[..., Database]
) -> None:
    database = opened(postgres.new_database())
    store = Store(database, LIFE)
    told: list[object] = []
    acknowledged: list[str] = []

    def write(worker: int) -> None:
        try:
            for n in range(1000):
                id = f"{worker}-{n}"
                store.remember(generation(id))
                store.judge(id, Judgement(rating=1))
                acknowledged.append(id)
                if done.is_set():
                    return
        except BaseException as fault:
            told.append(fault)

    done = threading.Event()
    workers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(0.3)
    before = len(acknowledged)
    postgres.stop("immediate")  # as if it had been killed: in the middle of their writes
    try:
        began = time.monotonic()
        with pytest.raises(StoreError, match="does not answer") as refused:
            database.check()
        assert time.monotonic() - began < 5, "whether it is there is told at once"
        assert "keep-this-secret" not in refused.value.message + refused.value.hint
        time.sleep(max(0, 10 - (time.monotonic() - began)))
    finally:
        postgres.start()
    time.sleep(0.5)
    done.set()
    for worker in workers:
        worker.join(timeout=20)
    assert told == []
    assert 0 < before < len(acknowledged)
    kept = [row.id for row in store.rows()]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    database.check()


def test_a_postgresql_that_stays_away_is_named(postgres: PostgresServer, opened: Callable[..., Database]) -> None:
    database = opened(postgres.new_database(), wait=1.0)
    postgres.stop()
    try:
        with pytest.raises(StoreError, match="does not answer") as refused:
            Store(database, LIFE).add([judged("a")])
        assert "keep-this-secret" not in refused.value.message + refused.value.hint
        assert "***" in refused.value.message
    finally:
        postgres.start()
    assert Store(database, LIFE).add([judged("a")]) == 1


@pytest.mark.parametrize("mistake", ["password", "database", "port"])
def test_a_postgresql_that_cannot_be_entered_is_told_at_once(
    postgres: PostgresServer, mistake: str, opened: Callable[..., Database]
) -> None:
    url = {
        "password": postgres.url(password="another-secret"),
        "database": postgres.url("nowhere"),
        "port": postgres.url().replace(f":{postgres.port}", ":1"),
    }[mistake]
    began = time.monotonic()
    with pytest.raises(StoreError, match="does not answer") as refused:
        opened(url)
    assert time.monotonic() - began < 5
    assert "secret" not in refused.value.message + refused.value.hint
    assert "secret" not in "".join(traceback.format_exception(refused.value)), "nor with --debug"


def test_a_postgresql_with_tables_of_another_program_is_left_as_it_is(postgres: PostgresServer) -> None:
    import psycopg

    url = postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE jobs (wage integer)")
    with pytest.raises(StoreError, match="has tables of another program") as refused:
        Database.open(url)
    assert "a database of its own" in refused.value.hint
    with psycopg.connect(url) as connection:
        made = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert made == [("jobs",)]


def test_what_people_write_stays_out_of_tracebacks(database_url: str, opened: Callable[..., Database]) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    database = opened(database_url)
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE feedback RENAME TO elsewhere"))  # a mistake of ours, as the driver sees it
    secret = " ".join(["the", "secret", "garden"])
    with pytest.raises(SQLAlchemyError) as failed:
        Store(database, LIFE).add([judged("a").model_copy(update={"comment": secret})])
    told = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO feedback" in told
    assert secret not in told


def test_a_reader_that_takes_its_time_keeps_no_writer_waiting(
    database_url: str, opened: Callable[..., Database]
) -> None:
    store = Store(opened(database_url, wait=10.0), LIFE)
    store.add(judged(f"{n:04}") for n in range(1500))
    readers = [store.export() for _ in range(40)]  # more than there are connections
    for reader in readers:
        next(reader)
    began = time.monotonic()
    store.remember(generation("x"))
    store.judge("x", Judgement(rating=1))
    assert time.monotonic() - began < 5
    assert len(list(readers[0])) >= 1499
    for reader in readers:
        reader.close()  # type: ignore[attr-defined]
