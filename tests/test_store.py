"""What readers said is kept, once, by SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from blogtwin.errors import ConfigError, InputError, UnknownRequest
from blogtwin.feedback import schema, tables
from blogtwin.feedback.database import Database
from blogtwin.feedback.stats import wilson
from blogtwin.feedback.store import Store
from blogtwin.feedback.taking import PAGE
from blogtwin.feedback.turns import Turns
from blogtwin.records import Message
from blogtwin.service_records import Draft, Feedback, Generation, Judgement

LIFE = timedelta(minutes=15)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def generation(id: str, twin: str = "my-twin", at: datetime | None = None, subject: str = "gardens") -> Generation:
    """A text of two drafts that waits for its judgement."""
    return Generation(
        id=id,
        twin=twin,
        kind="write",
        subject=subject,
        prompt="Write about gardens.",
        before=(Message(role="user", content="Hello"), Message(role="assistant", content="Hello!")),
        drafts=(Draft(version="my-twin:2026-11-20-aa", text="First."), Draft(version="base", text="Second.")),
        created_at=at or datetime.now(UTC),
    )


def judged(id: str, at: datetime = NOON, twin: str = "my-twin", rating: int | None = 1, subject: str = "s") -> Feedback:
    """A row as an export holds it."""
    return Feedback.model_validate(
        {
            "id": id,
            "twin": twin,
            "kind": "write",
            "subject": subject,
            "prompt": "p",
            "drafts": [{"version": f"{twin}:1", "text": "t"}],
            "response": "t",
            "version": f"{twin}:1",
            "rating": rating,
            "created_at": at,
            "judged_at": at,
        }
    )


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, LIFE)


def test_the_first_judgement_moves_the_text_into_the_feedback(store: Store) -> None:
    made = generation("a")
    store.remember(made)
    assert store.find("a") is None
    assert store.stats().contexts == 1
    row = store.judge("a", Judgement(rating=1, comment="fine"))
    assert store.find("a") == row
    assert (row.prompt, row.before, row.drafts, row.created_at) == (
        made.prompt,
        made.before,
        made.drafts,
        made.created_at,
    )
    assert (row.place, row.response, row.version) == (1, "First.", "my-twin:2026-11-20-aa")
    assert (row.liked, row.comment, row.chosen) == (True, "fine", None)
    assert store.stats().contexts == 0


def test_later_judgements_add_to_earlier_ones(store: Store) -> None:
    store.remember(generation("a"))
    store.judge("a", Judgement(rating=-1, comment="too long"))
    store.judge("a", Judgement(chosen=1))
    row = store.judge("a", Judgement(edited_text="Second, mended.", approved=True))
    assert (row.rating, row.comment, row.chosen, row.edited_text, row.approved) == (
        -1,
        "too long",
        1,
        "Second, mended.",
        True,
    )
    assert (row.response, row.version) == ("Second.", "base")
    assert store.judge("a", Judgement(rating=0)).liked is None
    assert store.stats().total == 1


def test_another_choice_takes_back_the_edit_of_the_draft_chosen_before(store: Store) -> None:
    store.remember(generation("a"))
    store.judge("a", Judgement(edited_text="First, mended.", approved=True, rating=1))
    row = store.judge("a", Judgement(chosen=1))
    assert (row.edited_text, row.approved, row.response, row.rating) == (None, False, "Second.", 1)


@pytest.mark.parametrize("edit", ["", "First."])
def test_an_edit_that_changes_nothing_is_no_edit(store: Store, edit: str) -> None:
    store.remember(generation("a"))
    store.judge("a", Judgement(edited_text="Mended."))
    assert store.judge("a", Judgement(edited_text=edit)).edited_text is None


def test_the_same_judgement_again_changes_nothing_and_a_new_one_makes_the_row_new(store: Store) -> None:
    store.remember(generation("a"))
    store.judge("a", Judgement(rating=1))
    assert len(list(store.export())) == 1
    exported = store.find("a")
    assert exported is not None
    assert exported.exported_at is not None
    assert store.judge("a", Judgement(rating=1)) == exported
    changed = store.judge("a", Judgement(rating=-1))
    assert changed.exported_at is None
    assert [row.id for row in store.rows(unexported=True)] == ["a"]


def test_what_was_judged_again_while_it_was_learned_is_not_learned(store: Store, database: Database) -> None:
    for id in ("a", "b"):
        store.remember(generation(id))
        store.judge(id, Judgement(rating=1))
    read = datetime.now(UTC)
    store.judge("b", Judgement(rating=-1))
    with database.writing() as connection:
        store.learned(connection, ["a", "b"], "my-twin:2026-11-21-bb", until=read)
    assert [row.id for row in store.rows(unlearned=True)] == ["b"]
    store.judge("a", Judgement(comment="on second thought"))
    assert [row.id for row in store.rows(unlearned=True)] == ["a", "b"]


def test_a_text_whose_time_is_over_cannot_be_judged_and_goes(store: Store) -> None:
    store.remember(generation("old", at=datetime.now(UTC) - LIFE - timedelta(seconds=1)))
    store.remember(generation("new"))
    for id in ("old", "never", "nul\0", "x" * 100_000):
        with pytest.raises(UnknownRequest) as refused:
            store.judge(id, Judgement(rating=1))
        assert len(refused.value.message) < 200
    store.expire(datetime.now(UTC))
    assert store.stats().contexts == 1
    store.judge("new", Judgement(rating=1))


def test_a_judgement_that_cannot_be_is_refused_and_the_text_stays_to_be_judged(store: Store) -> None:
    store.remember(generation("a"))
    with pytest.raises(InputError, match="draft 2 was chosen, and there are 2"):
        store.judge("a", Judgement(chosen=2))
    with pytest.raises(InputError, match="says nothing"):
        store.judge("a", Judgement())
    store.judge("a", Judgement(chosen=1))


def test_texts_with_every_character_are_kept_and_nul_alone_is_left_out(store: Store) -> None:
    text = "tab\t, line\r\nü 中文 🌱 ' \" \\ % : {} \x01\x7f" + "long " * 100_000
    store.remember(generation("a", subject="sub\0ject"))
    row = store.judge("a", Judgement(comment=f"\0{text}\0", edited_text=text))
    assert store.find("a") == row
    assert (row.comment, row.edited_text, row.subject) == (text, text, "subject")


def test_rows_come_oldest_first_once_each_and_as_asked_for(store: Store) -> None:
    count = 2 * PAGE + 7
    # Many of one moment: the page after must begin inside of it.
    rows = [
        judged(f"{n:05}", NOON + timedelta(hours=n // 900), subject="even" if n % 2 == 0 else "odd")
        for n in range(count)
    ]
    assert store.add(reversed(rows)) == count
    assert list(store.rows()) == rows
    assert [row.id for row in store.rows(limit=PAGE + 1)] == [row.id for row in rows[: PAGE + 1]]
    assert [row.id for row in store.rows(limit=0)] == []
    assert [row.id for row in store.rows(since=NOON + timedelta(minutes=1))] == [row.id for row in rows[900:]]
    assert [row.id for row in store.rows(subject="odd")] == [row.id for row in rows[1::2]]
    assert list(store.rows(twin="another")) == []


def test_added_rows_are_not_doubled_and_do_not_change_what_is_there(store: Store) -> None:
    assert store.add([judged("a"), judged("b")]) == 2
    assert store.add([judged("b", rating=-1), judged("c"), judged("c")]) == 1
    assert [row.rating for row in store.rows()] == [1, 1, 1]


def test_an_added_row_that_was_judged_later_takes_the_place_of_the_older(store: Store) -> None:
    store.add([judged("a"), judged("b")])
    list(store.export())
    older = judged("a", rating=0)
    later = older.model_copy(update={"rating": -1, "judged_at": NOON + timedelta(hours=1)})
    assert store.add([later, older]) == 1
    assert [(row.rating, row.judged_at) for row in store.rows(unexported=True)] == [(-1, later.judged_at)]
    stranger = judged("b", twin="anna").model_copy(update={"judged_at": NOON + timedelta(hours=1)})
    assert store.add([stranger]) == 0, "nothing of another twin's takes its place"


def test_an_export_marks_what_it_gave_when_the_last_row_was_taken(store: Store) -> None:
    store.add(judged(f"{n:04}") for n in range(PAGE + 3))
    assert len(list(store.export(limit=PAGE + 1, unexported=True))) == PAGE + 1
    assert [row.id for row in store.rows(unexported=True)] == [f"{PAGE + 1:04}", f"{PAGE + 2:04}"]
    first = store.find("0000")
    assert len(list(store.export())) == PAGE + 3
    assert store.stats().unexported == 0
    assert store.find("0000") == first, "exported again, it counts as exported since the first time"


def test_an_export_that_is_broken_off_marks_nothing(store: Store) -> None:
    store.add(judged(f"{n:04}") for n in range(PAGE + 3))
    reader = store.export()
    for _ in range(PAGE + 1):
        next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert store.stats().unexported == PAGE + 3


def test_a_row_that_is_judged_while_it_is_exported_comes_again(store: Store) -> None:
    for id in ("a", "b"):
        store.remember(generation(id))
        store.judge(id, Judgement(rating=1))
    reader = store.export()
    next(reader)
    store.judge("a", Judgement(rating=-1))
    assert [row.id for row in reader] == ["b"]
    assert [(row.id, row.rating) for row in store.export(unexported=True)] == [("a", -1)]


def test_twins_do_not_cross(store: Store) -> None:
    for twin in ("anna", "ben"):
        for n in range(3):
            store.remember(generation(f"{twin}-{n}", twin=twin))
        store.judge(f"{twin}-0", Judgement(rating=1 if twin == "anna" else -1))
    assert [row.id for row in store.rows(twin="anna")] == ["anna-0"]
    assert [row.id for row in store.export(twin="anna")] == ["anna-0"]
    stats = store.stats("ben")
    assert (stats.total, stats.likes, stats.dislikes, stats.unexported, stats.contexts) == (1, 0, 1, 1, 2)
    assert store.forget(twin="anna") == 1
    assert (store.stats("anna").contexts, store.stats("ben").contexts) == (0, 2)
    assert [row.id for row in store.rows()] == ["ben-0"]


def test_stats_count_every_part(store: Store) -> None:
    day = timedelta(days=1)
    store.add(judged(f"a{n}", NOON, rating=1, subject="gardens") for n in range(8))
    store.add(judged(f"b{n}", NOON + day, rating=-1, subject="gardens") for n in range(2))
    store.add(judged(f"c{n}", NOON - day, rating=rating, subject="cats") for n, rating in enumerate((0, None)))
    stats = store.stats()
    assert (stats.total, stats.likes, stats.dislikes, stats.like_rate) == (12, 8, 2, 0.8)
    assert stats.low == pytest.approx(0.4902, abs=1e-4)  # the interval that Wilson's formula gives for 8 of 10
    assert stats.high == pytest.approx(0.9433, abs=1e-4)
    assert [(one.name, one.total, one.like_rate) for one in stats.by_subject] == [
        ("gardens", 10, 0.8),
        ("cats", 2, None),
    ]
    assert [(one.name, one.total) for one in stats.by_day] == [("2026-11-20", 2), ("2026-11-21", 8), ("2026-11-22", 2)]
    assert [one.name for one in stats.by_version] == ["my-twin:1"]
    assert (stats.unexported, stats.unlearned, stats.contexts) == (12, 12, 0)
    assert store.stats(days=10**9).total == 12
    assert store.stats("nobody").like_rate is None


@pytest.mark.parametrize("given", [{}, {"twin": "my-twin"}, {"days": 30}, {"twin": "my-twin", "days": 30}])
def test_sqlite_counts_without_reading_the_texts(tmp_path: Path, given: dict[str, Any]) -> None:
    """Rows hold whole texts: to read a million of them takes ten seconds and more."""
    opened = Database.open(f"sqlite:///{tmp_path / 'feedback.db'}")
    asked: list[tuple[str, Any]] = []
    event.listen(opened._ways.reader, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
    Store(opened, timedelta(minutes=15)).stats(**given)
    counted = [one for one in asked if "FROM feedback" in one[0]]
    assert len(counted) >= 4
    with opened.reading() as connection:
        plans = [
            str(step[3])
            for statement, values in counted
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    opened.close()
    reads = [step for step in plans if step.split()[1:2] == ["feedback"]]
    assert reads
    assert not [step for step in reads if "COVERING INDEX" not in step and "feedback_edited" not in step]


def test_days_are_those_of_utc_wherever_the_database_is(store: Store) -> None:
    store.add(
        [
            judged("late", datetime(2026, 11, 21, 23, 59, tzinfo=UTC)),
            judged("early", datetime(2026, 11, 22, tzinfo=UTC)),
        ]
    )
    assert [one.name for one in store.stats().by_day] == ["2026-11-21", "2026-11-22"]


def test_an_interval_holds_its_share_and_narrows() -> None:
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == pytest.approx(1.0)
    low, high = wilson(500, 1000)
    assert 0.46 < low < 0.5 < high < 0.54


def test_forgetting_takes_what_was_named_and_nothing_else(store: Store) -> None:
    store.add(judged(f"{n:04}", NOON + timedelta(days=n)) for n in range(5))
    assert store.forget(ids=["0001", "0003", "9999"]) == 2
    assert store.forget(before=NOON + timedelta(days=2)) == 1
    assert [row.id for row in store.rows()] == ["0002", "0004"]
    assert store.forget(ids=[]) == 0
    assert store.forget() == 2


def test_feedback_past_its_retention_goes(database: Database) -> None:
    store = Store(database, LIFE, retention=timedelta(days=30))
    store.add([judged("old", NOON - timedelta(days=31)), judged("new", NOON - timedelta(days=29))])
    assert store.expire(NOON) == 1
    assert [row.id for row in store.rows()] == ["new"]


def test_many_at_once_lose_and_double_nothing(store: Store) -> None:
    for n in range(40):
        store.remember(generation(f"{n}"))
    faults: list[BaseException] = []

    def judge(worker: int) -> None:
        try:
            for n in range(40):  # everybody judges everything: the first of each moves the text
                store.judge(f"{n}", Judgement(comment=f"{worker}") if worker % 2 else Judgement(rating=1))
        except BaseException as fault:
            faults.append(fault)

    workers = [threading.Thread(target=judge, args=(worker,)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert faults == []
    rows = list(store.rows())
    assert len(rows) == 40
    assert all(row.rating == 1 and row.comment for row in rows)
    assert store.stats().contexts == 0


def test_turns_are_given_in_the_order_of_asking() -> None:
    turns, order = Turns(1), []
    assert turns.take(0)

    def ask(number: int) -> None:
        assert turns.take(10)
        order.append(number)
        turns.give()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
        while turns.waiting < number + 1:
            time.sleep(0.001)
    assert not turns.take(0.01), "who does not get a turn in time is told"
    turns.give()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert turns.take(0), "the one that gave up left no gap"


def test_a_block_that_fails_changes_nothing(database: Database, store: Store) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(tables.twins.insert(), {"name": "t", "folder": "f", "created_at": NOON})
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.execute(tables.twins.select()).all() == []


def test_a_reading_cannot_write(database: Database) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from blogtwin.errors import StoreError

    with pytest.raises((SQLAlchemyError, StoreError)), database.reading() as connection:
        connection.execute(tables.twins.insert(), {"name": "t", "folder": "f", "created_at": NOON})


def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.writing() as connection:
        others = {"sqlite": "feedback_by_judgement", "postgresql": "feedback_counted"}[connection.dialect.name]
        opts = {"compare_type": True, "include_object": lambda _, name, *__: name != others}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, tables.metadata) == []
        assert schema.revision(connection) == schema.HEAD
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [schema.HEAD]


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://me:keep-this-secret@host/db", "postgresql://me:keep-this-secret@h:x/db"]
)
def test_a_url_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Database.open(url)
    assert "keep-this-secret" not in f"{refused.value.message} {refused.value.hint} {refused.value.__cause__}"
    assert "feedback.database_url" in refused.value.hint
