"""From what readers said to what is learned: pairs, ratings, approved texts, and pairs of texts for a twin that rewrites."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blogtwin import adapter_folder, jsonl
from blogtwin.chat_template import LLAMA3
from blogtwin.cli.app import main
from blogtwin.config import Settings, TrainingSettings, load_settings
from blogtwin.dataset import prompts
from blogtwin.dataset.edits import changes, trivial
from blogtwin.errors import BrokenRecord, ConfigError, InputError, NothingUsable, UsageError
from blogtwin.progress import Silent
from blogtwin.records import Example, Message, Preference, RatedAnswer
from blogtwin.service_records import Draft, Feedback
from blogtwin.stages import finetune, parallel, preferences
from blogtwin.stages.result import StageResult
from blogtwin.training import material
from blogtwin.training import preferences as reading
from blogtwin.training.material import Replay
from blogtwin.training.preferences import Pair, Rating
from blogtwin.training.rows import paired, rated
from blogtwin.workspace import Workspace
from training_runs import DECIDED, SENTENCES, place

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
DRAFT = "A clock stopped! It was Tuesday! I went home."


def said(number: int, prompt: str, drafts: Sequence[str] = (DRAFT,), **changes: Any) -> Feedback:
    """One row of feedback, judged in the order of its number."""
    chosen = drafts[changes.get("chosen") or 0]
    given: dict[str, Any] = {
        "id": f"f{number}", "twin": "my-twin", "kind": "write", "subject": "", "prompt": prompt, "response": chosen,
        "drafts": tuple(Draft(version="my-twin:a", text=text) for text in drafts), "version": "my-twin:a",
        "created_at": BEGAN, "judged_at": BEGAN + timedelta(minutes=number),
    }  # fmt: skip
    return Feedback.model_validate(given | changes)


def settings_of(folder: Path, **sections: dict[str, object]) -> Settings:
    given = {"data": {"output_dir": folder}, "deployment": {"model_name": "my-twin"}}
    for section, values in sections.items():
        given[section] = {**given.get(section, {}), **values}
    return load_settings(None, given)


def learned(folder: Path, rows: Iterable[Feedback]) -> tuple[StageResult, list[Preference], list[RatedAnswer]]:
    """What comes of rows: the result, and the pairs and ratings of both sides."""
    settings = settings_of(folder)
    result = preferences.run(settings, Workspace.here(settings), Silent(), rows)
    return result, *written(folder / "preferences.jsonl")


def written(path: Path) -> tuple[list[Preference], list[RatedAnswer]]:
    pairs, ratings = [], []
    for side in (path, preferences.held_out_beside(path)):
        for _, line in jsonl.lines(side) if side.is_file() else ():
            if "label" in line:
                ratings.append(RatedAnswer.model_validate(line))
            else:
                pairs.append(Preference.model_validate(line))
    return pairs, ratings


def filler(first: int = 900) -> list[Feedback]:
    """Two ratings of other questions, so that one can be held out."""
    return [said(first + number, f"Filler {word}.", (f"{word} it is.",), rating=1) for number, word in enumerate("xyz")]


# --- what an edit says


@pytest.mark.parametrize(
    ("draft", "edited", "nothing"),
    [
        ("A clock stopped.  It was\nTuesday.", "A clock stopped. It was Tuesday.", True),
        ("The clokc stopped.", "The clock stopped.", True),
        ("An unnecesary adjectve.", "An unnecessary adjectve.", True),
        ("The neighbuor's bes.", "The neighbour's bes.", True),
        ("A clock stopped!", "A clock stopped.", False),
        ("It stopped in 1914.", "It stopped in 1915.", False),
        ("I saw the cat.", "I saw the cow.", False),
        ("My clock, their clokc.", "My cluck, their clock.", False),
        ("the clock stopped.", "The clock stopped.", False),
        ("I like bees.", "I love bees.", False),
    ],
)
def test_white_space_and_one_typo_say_nothing_and_everything_else_does(draft: str, edited: str, nothing: bool) -> None:
    assert trivial(draft, edited) is nothing
    assert (changes(draft, edited) == []) is nothing


def test_an_edit_of_a_long_text_is_a_pair_for_each_place_and_says_nothing_of_the_rest() -> None:
    lines = [f"Sentence {number} says that the tide came up over the steps once more." for number in range(30)]
    draft = " ".join(lines)
    lines[3], lines[20] = "The tide came up.", "It went."
    edited = " ".join(lines)
    first, second = changes(draft, edited)
    assert first.better.endswith(f"{lines[2]} The tide came up. {lines[4]}")
    assert first.worse.endswith(
        f"{lines[2]} Sentence 3 says that the tide came up over the steps once more. {lines[4]}"
    )
    assert second.better == " ".join(lines[:22])
    assert second.worse.startswith(" ".join(lines[:20]))  # as the reader wants it, the first change made
    assert first.goes_on
    assert second.goes_on
    (only,) = changes("A clock stopped! Home.", "A clock stopped. Home.")
    assert (only.better, only.worse, only.goes_on) == ("A clock stopped. Home.", "A clock stopped! Home.", False)


# --- what a judgement becomes


def test_choosing_one_of_three_is_two_pairs_and_editing_the_chosen_one_gives_both_kinds(tmp_path: Path) -> None:
    drafts = ("Bees are loud, as everybody knows.", "Limes hum in June, I say!", "A hive is a town of insects.")
    row = said(1, "Write about bees.", drafts, chosen=1, edited_text="Limes hum in June, I say.", comment="no shouting")
    result, pairs, ratings = learned(tmp_path, [row, *filler()])
    assert {(one.origin, one.chosen, one.rejected) for one in pairs} == {
        ("choice", drafts[1], drafts[0]),
        ("choice", drafts[1], drafts[2]),
        ("edit", "Limes hum in June, I say.", drafts[1]),
    }
    assert {one.comment for one in pairs} == {"no shouting"}
    assert {one.model_version for one in pairs} == {"my-twin:a"}
    assert len({one.id for one in pairs}) == 3
    assert len(ratings) == 3
    assert (result.counts["pairs, of edits"], result.counts["pairs, of choices"]) == (1, 2)


def test_two_ratings_of_one_question_are_a_pair_and_others_stay_ratings(tmp_path: Path) -> None:
    """A liked text is in one such pair: in as many as others were disliked, its words would be learned by heart."""
    rows = [
        said(0, "Write about rain.", ("Let us delve into rain.",), rating=-1),
        said(1, "Write about rain.", ("It rained.",), rating=1, comment="yes"),
        said(2, "Write about rain.", ("Rain, a game changer.",), rating=-1, comment="cant"),
        said(3, "Write about tea.", ("Tea is leaves.",), rating=-1),
        said(4, "Write about jam.", ("Jam it is.",), rating=0),
    ]
    _, pairs, ratings = learned(tmp_path, [*rows, *filler()])
    assert [(one.prompt, one.chosen, one.rejected, one.origin) for one in pairs] == [
        ("Write about rain.", "It rained.", "Rain, a game changer.", "rating")
    ]
    assert pairs[0].comment == "yes / cant"
    assert [(one.completion, one.label) for one in ratings if "Filler" not in one.prompt] == [
        ("Let us delve into rain.", False),
        ("Tea is leaves.", False),
    ]


def test_of_two_judgements_that_contradict_each_other_the_later_holds(tmp_path: Path) -> None:
    both = ("It rained all day.", "The rain was a rich tapestry.")
    rows = [
        said(5, "Write about rain.", both, chosen=0),
        said(1, "Write about rain.", both, chosen=1),
        said(2, "Write about tea.", ("Tea is leaves.",), rating=1),
        said(3, "Write about tea.", ("Tea is leaves.",), rating=-1),
        said(6, "Write about jam.", ("Jam it is.",), approved=True),
        said(7, "Write about jam.", ("Jam it is.",), rating=-1),
        said(8, "Write about ink.", ("Ink is black.",), rating=1),
    ]
    rows.append(
        rows[-1].model_copy(update={"rating": -1, "judged_at": BEGAN + timedelta(days=1)})
    )  # the same one, again
    for order in (rows, rows[::-1]):
        result, pairs, ratings = learned(tmp_path, [*order, *filler()])
        assert [(one.chosen, one.rejected) for one in pairs] == [both]
        assert {one.completion: one.label for one in ratings if "Filler" not in one.prompt} == {
            "Tea is leaves.": False,
            "Jam it is.": False,
            "Ink is black.": False,
        }
        assert result.counts["overruled"] == 4  # a choice, two ratings, and an approval that was taken back
        assert result.counts["approved"] == 0


def test_an_approved_text_is_an_example_as_it_was_edited_and_keeps_its_conversation(tmp_path: Path) -> None:
    before = (Message(role="user", content="Hello."), Message(role="assistant", content="Good morning."))
    rows = [
        said(1, "And the clock?", kind="chat", before=before, edited_text="It stopped on Tuesday.", approved=True),
        said(2, "Write about tea.", ("Tea is leaves.",), approved=True, kind="rewrite"),
        said(3, "Write about jam.", ("Jam it is.",), approved=True, rating=-1),
        said(4, "Write about ink.", ("The inkwlel is dry.",), approved=True, edited_text="The inkwell is dry."),
    ]
    result, pairs, ratings = learned(tmp_path, [*rows, *filler()])
    approved = tmp_path / "approved.jsonl"
    found = [one for path in (approved, preferences.held_out_beside(approved)) if path.is_file()
             for one in jsonl.read(path, Example)]  # fmt: skip
    texts = {one.output: one for one in found}
    assert set(texts) == {"It stopped on Tuesday.", "Tea is leaves.", "The inkwell is dry."}
    example = texts["It stopped on Tuesday."]
    assert [turn.content for turn in example.conversation("S")] == ["S", "Hello.", "Good morning.", "And the clock?"]
    assert texts["Tea is leaves."].kind == "rewrite"
    assert '"before"' not in next(line for line in approved.read_text().splitlines() if "Tea" in line)
    assert [one.before for one in pairs] == [before]
    assert {one.completion: (one.label, one.origin) for one in ratings if "Filler" not in one.prompt} == {
        "Tea is leaves.": (True, "approval"),
        "The inkwell is dry.": (True, "approval"),
        "Jam it is.": (False, "rating"),
    }
    assert "approved and disliked" in {one.path: one.reason for one in result.problems}["feedback f3"]


def test_no_question_stands_on_both_sides_however_it_is_written(tmp_path: Path) -> None:
    rows = []
    for number in range(60):
        subject = f"the {'bcdfgklmnprst'[number % 13]}{'aeiou'[number % 5]}{number} in winter and in spring"
        first = f"Write a blog post about {subject}."
        rows += [
            said(3 * number, first, ("It was.", "It was not so."), chosen=0),
            said(3 * number + 1, first.upper(), ("Never, as far as I know.",), rating=1),
            said(3 * number + 2, first, ("A text.",), approved=True, edited_text="A better text of mine."),
        ]
    result, _, _ = learned(tmp_path, rows)
    sides: list[set[str]] = []
    for suffix in ("", "_validation"):
        lines = [
            line for name in ("preferences", "approved") for _, line in jsonl.lines(tmp_path / f"{name}{suffix}.jsonl")
        ]
        sides.append({str(line.get("prompt", line.get("instruction"))).casefold() for line in lines})
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 60
    assert 4 <= len(sides[1]) <= 8
    before = (tmp_path / "preferences.jsonl").read_bytes()
    assert learned(tmp_path, rows)[0].counts == result.counts
    assert (tmp_path / "preferences.jsonl").read_bytes() == before


def test_what_says_nothing_is_reported_with_its_place_counted_and_left_out(tmp_path: Path) -> None:
    rows = [
        said(1, "Write.", ("The same text.", "The same  text.", "Another text.", " "), chosen=0),
        said(2, "Write.", edited_text="  "),
        said(3, "   ", rating=1),
        said(4, "Write.", twin="another", rating=1),
        said(5, "Write.", ("x" * 10_000_000,), rating=1),
        said(6, "Write " * 2_000_000, rating=1),
        said(7, "Write.", ("One.", "Two.")).model_copy(update={"chosen": 5}),
        said(8, "Write.", ("",), rating=1),
    ]
    result, pairs, ratings = learned(tmp_path, [*rows, *filler()])
    reasons = [f"{one.path}: {one.reason}" for one in result.problems]
    assert [(one.chosen, one.rejected) for one in pairs] == [("The same text.", "Another text.")]
    assert len(ratings) == 3
    assert result.counts["left out"] == len(reasons) == 9
    for expected in (
        "feedback f1: draft 2 is the same as the chosen one",
        "feedback f1: draft 4 is empty",
        "feedback f2: the edited text is empty",
        "feedback f3: the prompt is empty",
        "feedback f4: is of another twin, another; this is my-twin",
        "feedback f5: the answer has 10,000,000 characters; at most 100,000",
        "feedback f6: the prompt has 12,000,000 characters",
        "feedback f7: draft 6 was chosen, of 2",
        "feedback f8: the answer is empty",
    ):
        assert any(reason.startswith(expected) for reason in reasons), expected


def test_what_is_private_is_replaced_in_what_readers_wrote_too(tmp_path: Path) -> None:
    row = said(
        1,
        "Write to jane.roe@tide-mail.net.",
        edited_text="Ask bob.doe@tide-mail.net, he knows the clock.",
        approved=True,
    )
    learned(tmp_path, [row, *filler()])
    everything = "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
    assert "he knows the clock" in everything
    assert "jane.roe" not in everything
    assert "bob.doe" not in everything


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "nobody has judged a text of my-twin yet"),
        ([said(1, "Write.", ("The clokc stopped.",), edited_text="The clock stopped.")], "none of 1 judgements"),
        ([said(1, "Write.", rating=1)], "all 1 judgements are about one question"),
    ],
)
def test_judgements_that_teach_nothing_are_an_error_with_a_way_out(
    tmp_path: Path, rows: list[Feedback], reason: str
) -> None:
    with pytest.raises(NothingUsable, match=reason) as refused:
        learned(tmp_path, rows)
    assert "blogtwin serve" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


# --- from a file, and from the store


LINES: list[object] = [
    {"prompt": "Write about rain.", "chosen": "It rained.", "rejected": "Rain is a game changer."},
    {"prompt": "Write about tea.", "chosen": "Tea.", "rejected": ["A rich tapestry of leaves.", "Tea."]},
    {"prompt": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": "Why?"}],
     "chosen": [{"role": "assistant", "content": "Because."}], "rejected": [{"role": "assistant", "content": "Delve."}]},
    {"prompt": "Write about jam.", "completion": "Jam it is.", "label": False},
    {"source": "The meeting is at ten.", "chosen": "We meet at ten.", "rejected": ["Ten is when it happens!"]},
    {"prompt": "P", "chosen": "C"},
    {"prompt": "P", "completion": "C", "label": "perhaps"},
    {"prompt": "P", "chosen": "C", "rejected": []},
    {"something": "else"},
]  # fmt: skip


def test_every_shape_of_a_line_is_read_and_a_bad_one_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    own = said(20, "Write about ink.", ("Ink is black.",), rating=1).model_dump_json()
    path.write_bytes(
        b"\xef\xbb\xbf"
        + "\r\n".join([*map(json.dumps, LINES), "{no json", own]).encode()
        + b'\r\n\xff\xfe\r\n["a"]\r\n'
    )
    settings = settings_of(tmp_path)
    result = preferences.run_file(settings, Workspace.here(settings), Silent(), path, instruction="Say it plainly.")
    pairs, ratings = written(tmp_path / "preferences.jsonl")
    found = {(one.prompt, one.chosen, one.rejected) for one in pairs}
    assert found == {
        ("Write about rain.", "It rained.", "Rain is a game changer."),
        ("Write about tea.", "Tea.", "A rich tapestry of leaves."),
        ("Why?", "Because.", "Delve."),
        ("Say it plainly.\n\nThe meeting is at ten.", "We meet at ten.", "Ten is when it happens!"),
    }
    assert [turn.content for one in pairs if one.prompt == "Why?" for turn in one.before] == ["Hello.", "Yes?"]
    assert {(one.completion, one.label) for one in ratings} == {("Jam it is.", False), ("Ink is black.", True)}
    problems = {one.path.removeprefix(f"{path}, "): one.reason for one in result.problems}
    assert sorted(problems, key=lambda line: int(line.split()[1])) == [
        f"line {number}" for number in (2, 6, 7, 8, 9, 10, 12, 13)
    ]
    assert problems["line 2"] == "the better and the worse answer are the same"
    assert problems["line 6"] == "rejected is missing"
    assert problems["line 8"] == "rejected is an empty list"
    assert "is not UTF-8" in problems["line 12"]
    strict = replace(settings, data=replace(settings.data, strict=True))
    with pytest.raises(InputError, match=r"own.jsonl, line 6: rejected is missing"):
        preferences.run_file(strict, Workspace.here(settings), Silent(), path)


def test_the_command_makes_preferences_of_the_store_and_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from blogtwin.feedback.database import Database
    from blogtwin.feedback.store import Store

    monkeypatch.chdir(tmp_path)
    database = Database.open(None)
    try:
        rows = [said(1, "Write about rain.", ("It rained.", "Rain, it poured."), chosen=0), *filler()]
        others = said(2, "Write about tea.", ("Tea.",), twin="another", rating=1)
        Store(database, timedelta(minutes=15)).add([*rows, others])
    finally:
        database.close()
    assert main(["prepare-dataset", "--preferences", "--model-name", "my-twin", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["judgements"], counts["pairs"], counts["ratings"]) == (4, 1, 3)
    exported = tmp_path / "export.jsonl"
    exported.write_text("".join(row.model_dump_json() + "\n" for row in [*rows, others]))
    command = ["prepare-dataset", "--preferences", "export.jsonl", "--model-name", "my-twin", "--output", "mine.jsonl"]
    assert main(command) == 0
    assert "another twin" in capsys.readouterr().err
    assert Path("mine.jsonl").read_bytes() == Path("data/preferences.jsonl").read_bytes()
    assert main(["prepare-dataset", "export.jsonl"]) == 2
    assert "--preferences export.jsonl" in capsys.readouterr().err
    assert main(["prepare-dataset", "--preferences", "--pairs", "x.tsv"]) == 2


# --- what a method takes of it


def test_one_file_serves_dpo_and_kto_and_each_takes_what_it_can_use(tmp_path: Path) -> None:
    pair = {"prompt": "P", "chosen": "good", "rejected": "bad"}
    middle = {"prompt": "P", "chosen": "bad", "rejected": "worst"}
    lone = {"prompt": "P", "completion": "lone", "label": True}
    against = {"prompt": "P", "completion": "good", "label": False}
    path = tmp_path / "preferences.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (lone, pair, middle, against)))
    assert reading.read_pairs(path) == [Pair("P", "good", "bad"), Pair("P", "bad", "worst")]
    # `bad` is better in one pair and worse in another; what was said of `good` by itself goes before the pair.
    assert {(one.completion, one.label) for one in reading.read_ratings(path)} == {
        ("good", False),
        ("worst", False),
        ("lone", True),
    }
    path.write_text(json.dumps(lone) + "\n")
    with pytest.raises(BrokenRecord, match="line 1: is a rating, which dpo does not learn from"):
        reading.read_pairs(path)


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from blogtwin.training.tokenizer import load

    return load(tiny_base)


def test_what_an_edit_left_alone_is_given_and_not_learned(tokenizer: Any) -> None:
    kept, better, worse = "The clock in the hall stopped on Tuesday.", " I oiled it. Then", " I oiled it well! Then"
    pair = Pair("Write.", kept + better, kept + worse, goes_on=True)
    row = paired([pair], tokenizer, LLAMA3, "S", 256).rows[0]
    assert tokenizer.decode(row.prompt).endswith(f"{kept} I oiled it")
    assert (tokenizer.decode(row.chosen), tokenizer.decode(row.rejected)) == (". Then", " well! Then")  # and no end
    ratings = [Rating("Write.", text, label, given=len(kept), goes_on=True)
               for text, label in ((pair.chosen, True), (pair.rejected, False))]  # fmt: skip
    first, second = rated(ratings, tokenizer, LLAMA3, "S", 256).rows
    assert (tokenizer.decode(first.completion), tokenizer.decode(second.completion)) == (better, worse)
    whole = paired([Pair("Write.", "A clock.", "Bees.")], tokenizer, LLAMA3, "S", 256).rows[0]
    assert tokenizer.decode(whole.chosen) == "A clock.<|eot_id|>"


def test_the_conversation_above_a_question_is_read_as_in_service(tokenizer: Any) -> None:
    before = (Message(role="user", content="Hello."), Message(role="assistant", content="Yes?"))
    asked = [Message(role="system", content="S"), *before, Message(role="user", content="Why?")]
    wanted = tokenizer(LLAMA3.prompt(asked), add_special_tokens=False)["input_ids"]
    assert paired([Pair("Why?", "Because.", "Delve.", before)], tokenizer, LLAMA3, "S", 256).rows[0].prompt == wanted
    assert rated([Rating("Why?", "Because.", True, before)], tokenizer, LLAMA3, "S", 256).rows[0].prompt == wanted


def lines(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [json.dumps({"prompt": f"P{n}", "chosen": f"good {n}", "rejected": f"bad {n}"}) for n in range(count)]
    path.write_text("\n".join(texts) + "\n")
    return path


def test_dpo_learns_from_three_pairs_on_and_warns_below_twenty(tmp_path: Path) -> None:
    path, nowhere = tmp_path / "preferences.jsonl", tmp_path / "nowhere.jsonl"
    with pytest.raises(NothingUsable, match=r"has 2 pairs, and dpo learns from 3 on \(learning.least\)") as refused:
        material.read("dpo", lines(path, 2), nowhere)
    assert "blogtwin serve" in refused.value.hint
    few = material.read("dpo", lines(path, 3), nowhere)
    assert any("has 3 pairs: from 20 on" in remark for remark in few.remarks)
    assert len(few.train) + len(few.validation) == 3
    assert not any("from 20 on" in remark for remark in material.read("dpo", lines(path, 20), nowhere).remarks)
    with pytest.raises(NothingUsable, match="learns from 30 on"):
        material.read("dpo", path, nowhere, least=30)
    with pytest.raises(ConfigError, match=r"learning.least is 2"):
        load_settings(None, {"learning": {"least": 2}})


def test_replay_gives_each_file_an_even_part_and_nothing_that_is_held_out(tmp_path: Path) -> None:
    path = lines(tmp_path / "preferences.jsonl", 40)
    held = json.loads(path.read_text().splitlines()[0])
    lines(tmp_path / "preferences_validation.jsonl", 1)
    sides = [tmp_path / "few.jsonl", tmp_path / "many.jsonl"]
    for side, count in zip(sides, (3, 100), strict=True):
        asked = [held["prompt"], *(f"{side.stem} {n}" for n in range(count))]
        side.write_text("".join(json.dumps({"instruction": one, "output": "A text."}) + "\n" for one in asked))
    own = tmp_path / "preferences_validation.jsonl"
    read = material.read("dpo", path, own, Replay(tuple(sides), 0.5, 7))
    again = [one for one in read.train if isinstance(one, Example)]
    assert read.replayed == len(again) == 20  # half of 39 pairs, rounded to the even one
    assert sum("few" in one.instruction for one in again) == 3
    assert held["prompt"] not in {one.instruction for one in again}
    assert again == [one for one in material.read("dpo", path, own, Replay(tuple(sides), 0.5, 7)).train if one in again]
    assert material.read("dpo", path, own, Replay(tuple(sides), 0.0, 7)).replayed == 0


# --- replay and rewriting, with real training


INSTRUCTION = "Say it as I would."


def rewriting(number: int) -> Example:
    text = " ".join(SENTENCES[(number + n) % 4] for n in range(4))
    return Example.model_validate(
        {"id": f"r{number}", "post_id": f"s{number}", "kind": "rewrite", "instruction": INSTRUCTION,
         "input": f"Note {number}: {text[:40]}", "output": text}
    )  # fmt: skip


def training(base: Path | None, parent: Path | None, **changes: Any) -> Settings:
    chosen = replace(TrainingSettings(), learning_rate=0.01, epochs=2.0, max_length=256, from_adapter=parent, **changes)
    if base:
        chosen = replace(chosen, base_model=str(base), lora_r=4, lora_alpha=8)
    return replace(Settings(), training=chosen, given=DECIDED)


@pytest.fixture(scope="module")
def parent(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A twin that has learned to rewrite."""
    workspace = place(tmp_path_factory.mktemp("rewriter"), "rewriting_data.jsonl")
    jsonl.write(workspace.training_data, map(rewriting, range(16)))
    jsonl.write(preferences.held_out_beside(workspace.training_data), map(rewriting, range(16, 20)))
    finetune.run(training(tiny_base, None), workspace, Silent())
    return workspace


def loss(folder: Path, base: Path, examples: list[Example]) -> float:
    """Nats a token of the answers."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from blogtwin.training.rows import tokenized
    from blogtwin.training.tokenizer import load

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder)
    rows = tokenized(examples, load(base), LLAMA3, TrainingSettings().system_prompt, 256).rows
    with torch.no_grad():
        found = [model(torch.tensor([row.tokens]), labels=torch.tensor([row.labels])).loss.item() for row in rows]
    return sum(found) / len(found)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_examples_that_are_mixed_in_keep_what_was_learned(
    method: str, parent: Workspace, tiny_base: Path, tmp_path: Path
) -> None:
    told = [
        {"prompt": f"Write about day {n}.", "chosen": "Rain. Rain. Rain.", "rejected": SENTENCES[n % 4]}
        for n in range(12)
    ]
    losses = {}
    for share in (0.0, 1.0):
        workspace = place(tmp_path / str(share), "preferences.jsonl")
        workspace.training_data.parent.mkdir(parents=True)
        workspace.training_data.write_text("".join(json.dumps(line) + "\n" for line in told))
        chosen = training(None, parent.model, method=method, replay=(parent.training_data,))
        chosen = replace(chosen, learning=replace(chosen.learning, replay=share))
        result = finetune.run(chosen, workspace, Silent())
        losses[share] = loss(workspace.model, tiny_base, [rewriting(n) for n in range(16, 20)])
        card = adapter_folder.read_card(workspace.model)
        assert card.rewriting == INSTRUCTION  # as its parent was told
        assert result.counts.get("replayed", 0) == min(16, round(share * card.examples))
        assert finetune.plan(chosen, workspace).stale() is None
        other = replace(chosen, learning=replace(chosen.learning, replay=0.25))
        assert finetune.plan(other, workspace).stale() == "its settings have changed"
    assert losses[1.0] < losses[0.0] - 0.2, losses


def test_replay_that_would_teach_nothing_is_refused(parent: Workspace, tmp_path: Path) -> None:
    workspace = place(tmp_path, "preferences.jsonl")
    lines(workspace.training_data, 12)
    chosen = training(None, parent.model, method="dpo", replay=(parent.training_data,), sft_weight=0.0)
    with pytest.raises(UsageError, match="sft_weight, which is 0"):
        finetune.run(chosen, workspace, Silent())
    assert adapter_folder.read_card(parent.model).rewriting == INSTRUCTION


# --- pairs of texts


TABLE = (
    b"\xef\xbb\xbfsource\ttarget\r\n"
    b"The meeting is at ten.\tWe meet at ten.\r\n"
    b'"With a\ttab, and ""quotes"""\t"Two\nlines"\r\n'
    b'"Hello" is a greeting, said she.\tShe said hello.\r\n'
    b"Only one column here, and nothing else\r\n"
    b"Leave this as it is.\t\r\n"
    b"The meeting is at ten.\tWe meet at ten.\r\n"
    b"\r\n"
    b"Broken \xff bytes.\tNo.\r\n"
    b"\tNo source.\r\n"
    b"And this one too.\tNULL\r\n"
)


def rewritten(
    folder: Path, table: bytes | str, name: str = "pairs.tsv", **named: Any
) -> tuple[StageResult, list[Example]]:
    """What comes of a file: the result, and the examples of both sides."""
    path = folder / name
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    sections = named.pop("settings", {})
    settings = settings_of(folder, **sections)
    result = parallel.run(settings, Workspace.here(settings), Silent(), path, INSTRUCTION, **named)
    output = folder / "rewriting_data.jsonl"
    return result, [*jsonl.read(output, Example), *jsonl.read(preferences.held_out_beside(output), Example)]


def test_a_table_is_read_whatever_program_wrote_it_and_its_bad_lines_are_named(tmp_path: Path) -> None:
    result, examples = rewritten(tmp_path, TABLE)
    assert {(one.input, one.output) for one in examples} == {
        ("The meeting is at ten.", "We meet at ten."),
        ('With a\ttab, and "quotes"', "Two\nlines"),
        ('"Hello" is a greeting, said she.', "She said hello."),
        ("Leave this as it is.", "Leave this as it is."),
        ("And this one too.", "And this one too."),
    }
    assert {(one.kind, one.instruction) for one in examples} == {("rewrite", INSTRUCTION)}
    assert [one.path.rpartition(", ")[2] for one in result.problems] == ["line 6", "line 8", "line 10", "line 11"]
    assert result.counts["left as they are"] == 2
    assert result.counts["left out"] == 4
    assert result.counts["training examples"] + result.counts["validation examples"] == 5
    with pytest.raises(BrokenRecord, match=r"pairs\.tsv, line 6: has 1 column"):
        rewritten(tmp_path, TABLE, settings={"data": {"strict": True}})


@pytest.mark.parametrize(
    "table",
    [
        "one text\tits target\nanother text\tanother target\n",
        "one text\tits target\r\nanother text\tanother target",
        "id\ttoxic_comment\tneutral_comment\n1\tone text\tits target\n2\tanother text\tanother target\n",
        "target\tsource\nits target\tone text\nanother target\tanother text\n",
        '{"source": "one text", "target": "its target"}\n{"source": "another text", "chosen": "another target"}\n',
    ],
)
def test_header_line_ends_order_and_shape_make_no_difference(tmp_path: Path, table: str) -> None:
    _, examples = rewritten(tmp_path, table, "pairs.txt")
    assert {(one.input, one.output) for one in examples} == {
        ("one text", "its target"),
        ("another text", "another target"),
    }


def test_a_quote_that_is_never_closed_costs_no_other_line(tmp_path: Path) -> None:
    table = '"He said\tfoo\n' + "".join(f'text {n} has a "word"\tand "target" {n}\n' for n in range(50)) + '"end\tok\n'
    result, examples = rewritten(tmp_path, table)
    assert len(examples) == 52
    assert not result.problems


def test_sources_that_say_nearly_the_same_stand_on_one_side(tmp_path: Path) -> None:
    texts = []
    for number in range(30):
        words = [f"{'bcdfgklmnprst'[(number + n) % 13]}{'aeiou'[(number * n) % 5]}{number}{n}" for n in range(20)]
        texts += [" ".join(words), " ".join([*words[:-1], "otherwise"]), " ".join(words).upper()]
    rewritten(tmp_path, "".join(f"{text}\ttarget {place}\n" for place, text in enumerate(texts)))
    output = tmp_path / "rewriting_data.jsonl"
    sides = [{one.input.split()[0].casefold() for one in jsonl.read(path, Example)}
             for path in (output, preferences.held_out_beside(output))]  # fmt: skip
    assert not sides[0] & sides[1]
    assert len(sides[0]) + len(sides[1]) == 30
    assert len(sides[1]) == 6


def test_worse_rewritings_become_preferences_on_the_side_of_their_source(tmp_path: Path) -> None:
    given = [
        {"source": f"Plain text number {n}.", "chosen": f"Mine, {n}.", "rejected": [f"Worse, {n}!", f"Mine, {n}.", ""]}
        for n in range(10)
    ]
    result, examples = rewritten(tmp_path, "".join(json.dumps(one) + "\n" for one in given), "pairs.jsonl")
    pairs, _ = written(tmp_path / "rewriting_data_preferences.jsonl")
    assert {(one.prompt, one.chosen, one.rejected) for one in pairs} == {
        (f"{INSTRUCTION}\n\nPlain text number {n}.", f"Mine, {n}.", f"Worse, {n}!") for n in range(10)
    }
    held = {one.input for one in jsonl.read(tmp_path / "rewriting_data_validation.jsonl", Example)}
    lines_held = jsonl.lines(tmp_path / "rewriting_data_preferences_validation.jsonl")
    assert {str(line["prompt"]).partition("\n\n")[2] for _, line in lines_held} == held
    assert len(examples) == 10
    assert result.counts["left out"] == 10
    assert (
        "rejected 2: the better and the worse answer are the same; rejected 3: the worse" in result.problems[0].reason
    )


def test_texts_that_cannot_be_rewritten_are_left_alone_unless_a_pair_says_how(tmp_path: Path) -> None:
    alone = tmp_path / "cannot.txt"
    alone.write_text('Leave this.\none text\n{"not": "read as JSON"}\n')
    table = "one text\tits target\nanother text\tanother target\n"
    result, examples = rewritten(tmp_path, table, cannot_rewrite=alone)
    found = {one.input: one.output for one in examples}
    assert found["Leave this."] == "Leave this."
    assert found["one text"] == "its target"
    assert any("which is taken: 1" in note for note in result.notes)
    only = rewritten(tmp_path, table, cannot_rewrite=alone, settings={"data": {"output_dir": tmp_path}})
    assert only[0].counts == result.counts
    with pytest.raises(NothingUsable, match="all 1 pairs have the same source"):
        rewritten(tmp_path, "one text\tits target\n")


def test_a_pair_too_long_for_the_context_is_left_out_with_its_line(tmp_path: Path) -> None:
    table = f"one text\tits target\nanother text\tanother target\n{'word ' * 4000}\tshort\n{'x' * 10_000_000}\ty\n"
    result, examples = rewritten(tmp_path, table)
    assert len(examples) == 2
    assert "longer than 1024 tokens allow" in result.problems[0].reason
    assert "the source has 10,000,000 characters" in result.problems[1].reason


def test_wordings_from_before_rewriting_still_serve(tmp_path: Path) -> None:
    from blogtwin import defaults

    own = (defaults.HERE / "instructions.yaml").read_text("utf-8")
    older = tmp_path / "instructions.yaml"
    older.write_text(own[: own.index("# a text → the same text")], "utf-8")
    assert (
        prompts.load(older).by_task["rewrite"] == prompts.load(defaults.HERE / "instructions.yaml").by_task["rewrite"]
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{older.read_text('utf-8')}\nrewrite:\n  - Sag es wie ich.\n", "utf-8")
    assert prompts.load(mine).by_task["rewrite"] == ("Sag es wie ich.",)


def test_where_a_draft_was_cut_off_no_end_is_learned(tmp_path: Path) -> None:
    cut = Draft(version="my-twin:a", text="A clock stopped. It was", cut=True)
    whole = Draft(version="my-twin:a", text=DRAFT)
    rows = [
        said(1, "one", drafts=(cut.text, DRAFT), chosen=1).model_copy(update={"drafts": (cut, whole)}),
        said(2, "two", drafts=(cut.text,), rating=1).model_copy(update={"drafts": (cut,)}),
        said(3, "three", drafts=(cut.text,), approved=True).model_copy(update={"drafts": (cut,)}),
        said(4, "four", drafts=(DRAFT, "Another."), chosen=0),
        said(5, "five", rating=-1),
    ]
    result, pairs, ratings = learned(tmp_path, rows)
    assert {one.prompt: one.goes_on for one in pairs} == {"one": True, "four": False}
    assert {one.prompt: one.goes_on for one in ratings} == {"two": True, "three": True, "five": False}
    assert ["cut off" in problem.reason for problem in result.problems] == [True]  # the approved one is no example
    (rating,) = [one for one in reading.read_ratings(tmp_path / "preferences.jsonl") if one.prompt == "two"] or [None]
    assert rating is None or rating.goes_on
