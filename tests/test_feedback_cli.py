"""`blogtwin feedback`: what is written out can be read again, here and by `finetune`; and what is to be forgotten goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blogtwin.cli.app import main
from blogtwin.feedback.database import Database
from blogtwin.feedback.export import written
from blogtwin.feedback.store import Store
from blogtwin.records import Message
from blogtwin.service_records import Draft, Feedback
from blogtwin.training import examples
from test_store import LIFE, judged

NOW = datetime.now(UTC)
TWIN = "blogging-twin"


def row(id: str, **said: Any) -> Feedback:
    """A text with two drafts, of which something was said."""
    chosen = said.get("chosen") or 0
    drafts = (Draft(version=f"{TWIN}:1", text="First."), Draft(version="base", text="Second."))
    draft = drafts[chosen]
    blank = judged(id, NOW, twin=TWIN, rating=None).model_dump()
    told = {"drafts": drafts, "response": draft.text, "version": draft.version, "prompt": f"Prompt of {id}."}
    return Feedback.model_validate(blank | told | said)


TALK = (Message(role="user", content="Hi"), Message(role="assistant", content="Ho"))
ROWS = (
    row("liked", rating=1),
    row("disliked", rating=-1),
    row("chosen", chosen=1),
    row("edited", edited_text="First, mended.", rating=-1, comment='ü 中文 "quoted"\nline'),
    row("approved", approved=True),
    row(
        "talk",
        rating=1,
        chosen=1,
        before=TALK,
        place=1,
    ),
    row("noted", comment="hm", rating=0),
)


@pytest.fixture
def store() -> Iterator[Store]:
    """The user's own."""
    database = Database.open(None)
    yield Store(database, LIFE)
    database.close()


@pytest.fixture
def filled(store: Store) -> Store:
    store.add(ROWS)
    return store


def lines(form: Any, rows: tuple[Feedback, ...] = ROWS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in "".join(written(rows, form)).splitlines()]


def test_examples_are_what_the_reader_wanted_and_nothing_else() -> None:
    texts = {line["instruction"]: line["output"] for line in lines("alpaca")}
    assert texts == {
        "Prompt of liked.": "First.",
        "Prompt of chosen.": "Second.",
        "Prompt of edited.": "First, mended.",
        "Prompt of approved.": "First.",
    }
    openai = {line["messages"][-2]["content"]: line["messages"][-1]["content"] for line in lines("openai")}
    assert openai == texts | {"Prompt of talk.": "Second."}
    gemini = {
        line["contents"][-2]["parts"][0]["text"]: line["contents"][-1]["parts"][0]["text"] for line in lines("gemini")
    }
    assert gemini == openai
    assert [turn["role"] for turn in lines("gemini")[-1]["contents"]] == ["user", "model", "user", "model"]


@pytest.mark.parametrize("form", ["openai", "gemini", "alpaca"])
def test_an_export_is_read_back_by_finetune_with_its_conversations(form: Any, tmp_path: Path) -> None:
    (path := tmp_path / "export.jsonl").write_text("".join(written(ROWS, form)), "utf-8")
    found = {example.instruction: example for example in examples.read(path)}
    assert found["Prompt of edited."].output == "First, mended."
    if form == "alpaca":
        return
    assert found["Prompt of talk."].output == "Second."
    assert [(turn.role, turn.content) for turn in found["Prompt of talk."].before] == [
        ("user", "Hi"),
        ("assistant", "Ho"),
    ]


def test_all_turns_of_a_conversation_stand_on_one_side(tmp_path: Path) -> None:
    first = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    later = [*first, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "Hey"}]
    (path := tmp_path / "talks.jsonl").write_text(
        "".join(json.dumps({"messages": one}) + "\n" for one in (first, later))
    )
    one, other = examples.read(path)
    assert one.post_id == other.post_id
    assert one.id != other.id


def test_edits_and_choices_become_pairs() -> None:
    pairs = lines("preference")
    assert pairs[:2] == [
        {"prompt": "Prompt of chosen.", "chosen": "Second.", "rejected": "First."},
        {"prompt": "Prompt of edited.", "chosen": "First, mended.", "rejected": "First."},
    ]
    assert [turn["content"] for turn in pairs[2]["prompt"]] == ["Hi", "Ho", "Prompt of talk."]
    assert pairs[2]["rejected"] == [{"role": "assistant", "content": "First."}]
    both = row("both", chosen=1, edited_text="Second, mended.")
    assert [(pair["chosen"], pair["rejected"]) for pair in lines("preference", (both,))] == [
        ("Second, mended.", "Second."),
        ("Second, mended.", "First."),
    ]


@pytest.mark.parametrize("rows", [(), ROWS[:1], ROWS])
def test_a_json_export_is_one_list(rows: tuple[Feedback, ...]) -> None:
    assert [one["id"] for one in json.loads("".join(written(rows, "json")))] == [one.id for one in rows]


def test_pairs_are_what_finetune_reads(tmp_path: Path) -> None:
    from blogtwin.training.preferences import read_pairs

    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(written(ROWS, "preference")))
    assert [pair.chosen for pair in read_pairs(path)] == ["Second.", "First, mended.", "Second."]


@pytest.mark.parametrize("form", ["alpaca", "openai", "gemini"])
def test_examples_are_what_finetune_reads(tmp_path: Path, form: Any) -> None:
    from blogtwin.training import examples

    path = tmp_path / "examples.jsonl"
    alone = tuple(one for one in ROWS if not one.before)
    path.write_text("".join(written(alone, form)))
    assert [example.output for example in examples.read(path)] == ["First.", "Second.", "First, mended.", "First."]


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_what_was_exported_can_be_imported_elsewhere_and_twice(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = tmp_path / "feedback.out"
    assert main(["feedback", "export", "--output", str(path), "--format", form]) == 0
    assert filled.stats().unexported == 0
    first = path.read_bytes()
    assert main(["feedback", "export", "--output", str(path), "--format", form]) == 0
    assert path.read_bytes() == first, "exported again, it is the same to the byte"
    expected = [one.model_copy(update={"exported_at": None}) for one in filled.rows()]
    monkeypatch.setenv("BLOGTWIN_HOME", str(tmp_path / "elsewhere"))
    for new in (len(ROWS), 0):
        capsys.readouterr()
        assert main(["feedback", "import", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"rows": len(ROWS), "new": new}
    database = Database.open(None)
    assert list(Store(database, LIFE).rows()) == expected
    database.close()


def test_pairs_are_imported_as_choices_and_come_out_as_they_went_in(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(written(ROWS, "preference")))
    assert main(["feedback", "import", str(path), "--model", "my-twin:latest"]) == 0
    assert main(["feedback", "import", str(path), "--model", "my-twin"]) == 0
    rows = tuple(store.rows(twin="my-twin"))
    assert sorted(map(str, lines("preference", rows))) == sorted(map(str, lines("preference")))
    assert all(one.version == "imported" for one in rows)


GOOD = json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"})
WHOLE = json.loads(judged("x", NOW, twin=TWIN).model_dump_json())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "not an object"),
        ('{"prompt": "p"}', "is no feedback"),
        ('{"instruction": "i", "input": "", "output": "o"}', "is no feedback"),
        ('{"prompt": "p", "chosen": "a b", "rejected": "a  b"}', "chosen and rejected are the same"),
        ('{"prompt": " ", "chosen": "a", "rejected": "b"}', "prompt is empty"),
        ('{"prompt": "p", "chosen": "a", "rejected": ""}', "rejected is empty"),
        ('{"chosen": "a", "rejected": "b"}', "prompt is no text"),
        ('{"prompt": "p", "chosen": 1, "rejected": "b"}', "chosen is no text"),
        ('{"prompt": "p", "chosen": "a", "rejected": "b", "created_at": "soon"}', "created_at"),
        (json.dumps({"prompt": "p", "chosen": "long " * 2_000_000, "rejected": "b"}), "10,000,000 characters"),
        (json.dumps(WHOLE | {"chosen": 3}), "draft 3 was chosen"),
        (json.dumps(WHOLE | {"response": "another"}), "not those of the draft"),
        (json.dumps(WHOLE | {"twin": "My Twin"}), "no twin's name"),
        (json.dumps(WHOLE | {"created_at": "0001-01-01T00:00:00+14:00"}), "out of this world"),
        (json.dumps(WHOLE | {"user_id": "me"}), "user_id"),
    ],
)
def test_a_broken_row_is_named_and_nothing_of_the_file_is_stored(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, reason: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{GOOD}\n\n{line}\n{GOOD}\n")
    assert main(["feedback", "import", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"{path}, line 3" in told
    assert reason in told
    assert "hint:" in told
    assert len(told) < 1000
    assert store.stats().total == 0


def test_rows_of_another_twin_are_refused_where_one_was_named(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(written(ROWS, "jsonl")))
    assert main(["feedback", "import", str(path), "--model", "anna"]) == 1
    assert "is about blogging-twin, not about anna" in capsys.readouterr().err
    assert store.stats().total == 0


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["feedback", "import", str(tmp_path / "no.jsonl")]) == 1
    assert "no.jsonl is not there" in capsys.readouterr().err


def test_what_learned_from_it_elsewhere_does_not_count_here(store: Store) -> None:
    store.add([row("a").model_copy(update={"learned_by": f"{TWIN}:2026-11-21-ab12cd"})])
    assert [one.id for one in store.rows(unlearned=True)] == ["a"]


def test_an_export_whose_reader_goes_away_counts_for_nothing(store: Store) -> None:
    store.add(row(f"{n:05}") for n in range(3000))
    done = subprocess.run(
        f"{sys.executable} -m blogtwin feedback export | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["id"] == "00000"
    assert "nothing of it counts as exported" in done.stderr
    assert "Traceback" not in done.stderr
    assert store.stats().unexported == 3000


def test_an_export_that_cannot_be_written_counts_for_nothing(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("a file")
    assert main(["feedback", "export", "--output", str(tmp_path / "note" / "out.jsonl")]) == 1
    assert filled.stats().unexported == len(ROWS)


def test_only_what_is_new_is_exported_where_that_is_asked_for(
    filled: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feedback", "export", "--unexported", "--limit", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["feedback", "export", "--unexported"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ROWS) - 2
    assert main(["feedback", "export", "--unexported"]) == 0
    assert capsys.readouterr().out == ""


def test_twins_are_exported_and_counted_apart(filled: Store, capsys: pytest.CaptureFixture[str]) -> None:
    filled.add([judged("hers", NOW, twin="anna")])
    assert main(["feedback", "export", "--model", "anna:latest"]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["hers"]
    assert main(["feedback", "export"]) == 0
    assert {json.loads(line)["twin"] for line in capsys.readouterr().out.splitlines()} == {TWIN}
    assert main(["feedback", "export", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ROWS) + 1
    assert main(["feedback", "stats", "--model", "anna", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 1
    assert main(["feedback", "stats", "--model", "ben"]) == 0
    assert f"of other twins {len(ROWS) + 1} texts were judged" in capsys.readouterr().err


def test_stats_are_a_short_table(filled: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "stats"]) == 0
    shown = capsys.readouterr().out
    assert "50% (15% to 85%)" in shown  # two likes and two dislikes
    assert len(shown.splitlines()) < 25


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--id", "liked", "--id", "chosen"], {"old", "disliked", "edited", "approved", "talk", "noted", "hers"}),
        (["--before", "30"], {one.id for one in ROWS} | {"hers"}),
        (["--before", f"{NOW - timedelta(days=1):%Y-%m-%d}", "--model", TWIN], {one.id for one in ROWS} | {"hers"}),
        (["--before", "30", "--model", "anna"], {one.id for one in ROWS} | {"hers", "old"}),
        (["--model", TWIN], {"hers"}),
        (["--all"], set()),
    ],
)
def test_what_is_named_is_forgotten_and_nothing_else(filled: Store, arguments: list[str], left: set[str]) -> None:
    filled.add([judged("hers", NOW, twin="anna"), judged("old", NOW - timedelta(days=40), twin=TWIN)])
    assert main(["feedback", "forget", *arguments, "--yes"]) == 0
    assert {one.id for one in filled.rows()} == left


@pytest.mark.parametrize(
    "arguments", [[], ["--yes"], ["--all"], ["--all", "--id", "a", "--yes"], ["--before", "x", "--yes"]]
)
def test_nothing_is_forgotten_by_a_slip(
    filled: Store, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feedback", "forget", *arguments]) == 2
    assert "hint:" in capsys.readouterr().err
    assert filled.stats().total == len(ROWS)


def test_a_bare_pair_may_say_whose_it_is(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    pair = {"prompt": "P", "chosen": "Better.", "rejected": "Worse.", "twin": "another"}
    (path := tmp_path / "other.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    assert main(["feedback", "import", str(path), "--model", "my-twin"]) == 1
    assert "is about another, not about my-twin" in capsys.readouterr().err
    assert main(["feedback", "import", str(path)]) == 0
    assert [row.twin for row in store.rows()] == ["another"]
