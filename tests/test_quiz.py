"""The blind quiz: passages that only the writing tells apart, choices that are never lost, intervals that keep their promise."""

from __future__ import annotations

import io
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blogtwin import jsonl
from blogtwin.cli.app import main
from blogtwin.config import load_settings
from blogtwin.errors import BrokenRecord
from blogtwin.evaluation.passages import LEAST, alike, plain
from blogtwin.evaluation.quiz import Choice, Shape, Writer, summed, wilson
from blogtwin.evaluation.rounds import Round, Source, rounds
from blogtwin.evaluation.words import words
from blogtwin.progress import Silent
from blogtwin.records import Example
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.stages import deploy
from blogtwin.stages import quiz as stage
from blogtwin.workspace import Workspace
from conftest import EXAMPLES

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)\n.*?\n\1\n", re.DOTALL)
POSTS = [FRONT_MATTER.sub("", path.read_text("utf-8")).strip() for path in sorted(EXAMPLES.glob("*.md"))]


def choice(chosen: Writer | None, number: int = 0, **changes: object) -> Choice:
    shown: tuple[Writer, ...] = ("author", "twin")
    fields: dict[str, object] = {
        "round": f"{number:016x}",
        "prompt": "Write about fog.",
        "post_id": f"post {number // 2}",
        "passage": 0,
        "shown": shown,
        "texts": dict.fromkeys(shown, "Fog."),
        "whole": dict.fromkeys(shown, "0"),
        "chosen": chosen,
        "reader": "you",
        "model": "tiny:latest",
        "version": "a",
        "version_name": None,
        "base": "0",
        "seed": 7,
        "seconds": 9.0,
        "revealed": False,
        "at": datetime(2026, 1, 1, 12, number % 60, tzinfo=UTC),
    }
    return Choice.model_validate(fields | changes)


def test_the_result_is_one_plain_sentence_with_its_interval_and_what_chance_is() -> None:
    found = summed([choice("twin" if number < 9 else "author", number) for number in range(20)])
    assert found is not None
    assert found.sentences == (
        "You took the twin for yourself in 9 of 20 pairs (45%, between 26% and 66%); at 50% nobody could tell. "
        "As far as 20 pairs can show, that is no different from guessing.",
    )
    assert (found.rounds, found.right, found.posts) == (20, 11, 10)
    told = summed([choice("author", number, reader="Anna") for number in range(20)])
    assert told is not None
    assert told.sentences[0].startswith("Anna took the twin for the author in 0 of 20 pairs (0%, between 0% and 16%);")
    assert told.sentences[0].endswith("The twin is told from the author.")


@pytest.mark.parametrize(("times", "of"), [(0, 5), (1, 7), (9, 20), (20, 20)])
def test_the_interval_ends_where_a_share_would_be_1_96_of_its_own_standard_errors_away(times: int, of: int) -> None:
    for end in wilson(times, of):
        if 0 < end < 1:
            assert abs(times / of - end) / math.sqrt(end * (1 - end) / of) == pytest.approx(1.959964)
    assert wilson(times, of)[0] <= times / of <= wilson(times, of)[1]


def test_a_triple_has_the_twin_and_the_base_and_a_third_for_chance() -> None:
    three = {"shown": ("base", "author", "twin")}
    found = summed(
        [choice("base", 1, **three), choice("twin", 2, **three), choice("twin", 3, **three), choice("twin", 4)]
    )
    assert found is not None
    assert [(one.writer, one.shape, one.times, one.rounds) for one in found.taken] == [
        ("twin", "pair", 1, 1),
        ("twin", "triple", 2, 3),
        ("base", "triple", 1, 3),
    ]
    assert [one.chance for one in found.taken] == [pytest.approx(1 / 2), pytest.approx(1 / 3), pytest.approx(1 / 3)]


def test_a_skipped_round_is_no_choice_and_the_last_answer_to_a_round_counts() -> None:
    answers = [choice(None, 1), choice("twin", 2), choice("author", 2), choice("twin", 2, reader="Anna")]
    found = summed(answers)
    assert found is not None
    assert (found.rounds, found.right, found.skipped) == (2, 1, 1)
    assert [(one.reader, one.rounds, one.right) for one in found.readers] == [("you", 1, 1), ("Anna", 1, 0)]
    assert found.sentences[0].startswith("2 readers took the twin for the author in 1 of 2 pairs")


def test_typography_titles_headings_and_code_tell_nothing() -> None:
    mine = (
        "# On fog\n\n“Well—no,” she said… I’d *seen* it; [three days](https://a.example/x) of it.\n\n## Why\n\n"
        "```\ncode()\n```\n\n![a gull](gull.jpg)\n\nIt came in at ten\u00a0o’clock, 10–12 boats out.[^1]\n\n"
        "[^1]: A note, and not a short one.\n"
    )
    typed = (
        '**On fog**\n\n"Well -- no," she said... I\'d seen it; three days of it.\n\n'
        "It came in at ten o'clock, 10-12 boats out.\x1b\u200b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    assert plain(mine) == plain(typed)
    assert plain(mine).count("\n\n") == 1
    assert plain("« Non », dit-elle.\n\n„Nein“, sagte er. »Doch!«") == '"Non", dit-elle.\n\n"Nein", sagte er. "Doch!"'
    assert plain("雾\n来了。\n\n他说“走”。") == '雾来了。\n\n他说"走"。'


@pytest.mark.parametrize("first", range(0, len(POSTS) - 1, 3))
def test_passages_are_about_equally_long_end_with_a_sentence_and_lose_nothing(first: int) -> None:
    texts = [plain(post) for post in POSTS[first : first + 2]]
    cut = alike(texts)
    assert cut is not None
    lengths = [len(words(passage)) for passage in cut[0]]
    assert max(lengths) <= 1.25 * min(lengths)
    for passage, rest, text in zip(*cut, texts, strict=True):
        assert passage.rstrip("\"')]")[-1] in ".!?"
        assert text == f"{passage}{text[len(passage) : len(text) - len(rest)]}{rest}"


def test_a_text_without_sentences_is_cut_as_the_other_one_is() -> None:
    cut = alike(["fog and more " * 50, plain(POSTS[0])])
    assert cut is not None
    assert [passage.endswith(" …") for passage in cut[0]] == [True, True]
    assert {len(words(passage)) for passage in cut[0]} == {100}
    assert alike(["Too short.", plain(POSTS[0])]) is None


def sources() -> list[Source]:
    """Ten titles whose three texts are real prose of about the same sort."""
    return [
        Source(f"Write about {place}.", f"post {place}", {"author": post, "twin": twin, "base": base})
        for place, (post, twin, base) in enumerate(zip(POSTS, POSTS[1:], POSTS[2:], strict=False))
    ][:10]


@pytest.mark.parametrize("shape", ["pair", "triple"])
def test_no_passage_of_the_authors_is_shown_twice(shape: Shape) -> None:
    found = rounds(sources(), shape)
    assert len(found) >= 30
    assert len({one.texts["author"] for one in found}) == len(found)
    assert [one.passage for one in found] == sorted(one.passage for one in found), "a second one of a post comes later"
    assert found == rounds(sources(), shape)
    with_base = sum("base" in one.texts for one in found) / len(found)
    assert with_base == 1 if shape == "triple" else 0.15 < with_base < 0.35
    assert all(min(len(words(text)) for text in one.texts.values()) >= LEAST for one in found)


def test_the_order_is_drawn_by_the_seed_and_favours_no_key() -> None:
    found = rounds(sources(), "triple")
    places = Counter(one.order(seed).index("author") for one in found for seed in range(30))
    assert all(0.28 < places[place] / (30 * len(found)) < 0.39 for place in range(3))
    assert [one.order(7) for one in found] == [one.order(7) for one in found]


def test_a_twin_that_repeats_the_author_is_no_choice() -> None:
    same = [replace(one, texts=one.texts | {"twin": one.texts["author"]}) for one in sources()]
    assert all("base" in one.texts for one in rounds(same, "pair"))


# With a real twin


@pytest.fixture(scope="module")
def project(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of work whose twin was deployed once for all tests of this file."""
    folder = tmp_path_factory.mktemp("quiz")
    held_out = [
        Example(
            id=f"{place:016x}",
            post_id=f"{place:016x}",
            kind="topic",
            instruction=f"Write a post, number {place}.",
            input="",
            output=post,
        )
        for place, post in enumerate(POSTS[:3])
    ]
    jsonl.write(folder / "data" / "validation.jsonl", held_out)
    shutil.copytree(tiny_adapter, folder / "models" / "tiny")
    (folder / "pipeline_config.yaml").write_text(
        "deployment: {model_name: tiny, runtime: llama-cpp, quantize: f16}\n"
        "evaluation: {samples: 3, max_tokens: 250}\nmachine: {threads: 1}\n",
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        settings = load_settings()
        deploy.run(settings, Workspace.here(settings), Silent())
        yield folder


@pytest.fixture
def kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of choices, which is not there yet."""
    monkeypatch.setenv("BLOGTWIN_HOME", str(project / "home"))
    monkeypatch.chdir(project)
    path = project / "results" / "quiz.jsonl"
    path.unlink(missing_ok=True)
    return path


def press(monkeypatch: pytest.MonkeyPatch, keys: str, *flags: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{key}\n" for key in keys)))
    return main(["quiz", *flags])


def read(path: Path) -> list[Choice]:
    return list(jsonl.read(path, Choice))


def test_a_stopped_quiz_goes_on_and_asks_nothing_twice(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert press(monkeypatch, "1s", "--rounds", "4") == 0
    assert [one.chosen is None for one in read(kept)] == [False, True]
    assert press(monkeypatch, "2x9?2" + "1" * 20, "--rounds", "4") == 0
    found = read(kept)
    assert len(found) == len({one.round for one in found}) == len({one.texts["author"] for one in found}) == 4
    assert [one.chosen and one.shown.index(one.chosen) for one in found] == [0, None, 1, 1]
    for one in found:
        again = Round(one.round, one.prompt, one.post_id, one.passage, one.texts, one.whole)
        assert again.order(one.seed) == one.shown, "the seed in the file gives the order on the screen"
    assert press(monkeypatch, "1" * 20, "--rounds", "4") == 0
    assert len(read(kept)) == 4


def test_the_solution_is_on_no_screen_before_the_choice(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    press(monkeypatch, "q", "--reveal")
    before = capsys.readouterr().out
    assert "Which one is you?" in before
    assert not any(told in before for told in ("twin", "base", "author"))
    assert not kept.exists()
    press(monkeypatch, "1q", "--reveal")
    (one,) = read(kept)
    names = {"author": "you", "twin": "the twin", "base": "the base model"}
    said = ", ".join(f"{place} is {names[writer]}" for place, writer in enumerate(one.shown, start=1))
    assert f"{'Right' if one.chosen == 'author' else 'No'}. {said}" in capsys.readouterr().out


def test_others_can_read_and_a_new_version_starts_anew(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonl.write(kept, [choice("twin", number, version="older") for number in range(6)])
    press(monkeypatch, "111", "--triples", "--rounds", "2", "--reader", "Anna")
    press(monkeypatch, "222", "--triples", "--rounds", "2")
    capsys.readouterr()
    assert main(["quiz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["reader"], one["rounds"]) for one in told["summary"]["readers"]] == [("Anna", 2), ("you", 2)]
    assert told["summary"]["version"] == told["version"] != "older"
    assert [(one["version"], one["rounds"]) for one in told["others"]] == [("older", 6)]
    of_this = stage.summary(kept)
    assert of_this is not None
    assert told["summary"] == of_this.model_dump(mode="json")
    anna, you = (
        [one.round for one in read(kept) if one.reader == name and len(one.shown) == 3] for name in ("Anna", "you")
    )
    assert anna == you


def test_once_more_asks_what_was_answered_but_nothing_that_was_revealed(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(monkeypatch, "1", "--rounds", "1", "--reveal")
    press(monkeypatch, "11", "--rounds", "3")
    first = read(kept)
    press(monkeypatch, "1" * 40, "--rounds", "40", "--again")
    later = read(kept)[3:]
    assert {one.round for one in first[1:]} < {one.round for one in later}
    assert first[0].round not in {one.round for one in later}
    assert {one.seed for one in later}.isdisjoint({one.seed for one in first})


def test_answers_are_asked_for_once(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, "1", "--rounds", "1")

    def no_more(*_: object) -> None:
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(LlamaCpp, "chat", no_more)
    press(monkeypatch, "1", "--rounds", "2")
    assert len(read(kept)) == 2


@pytest.mark.parametrize("tail", ['{"round": "0f', "\x00\x00"])
def test_a_half_written_last_line_does_no_harm(kept: Path, monkeypatch: pytest.MonkeyPatch, tail: str) -> None:
    jsonl.write(kept, [choice("twin", 1), choice("author", 2)])
    with kept.open("a", encoding="utf-8") as file:
        file.write(tail)
    assert len(stage.choices(kept)) == 2
    press(monkeypatch, "1", "--rounds", "1")
    assert len(read(kept)) == 3
    kept.write_bytes(kept.read_bytes().rstrip(b"\n"))  # as an editor may leave it
    press(monkeypatch, "1", "--rounds", "2")
    assert len(read(kept)) == 4


def test_a_broken_line_in_the_middle_is_named(kept: Path) -> None:
    jsonl.write(kept, [choice("twin", 1), choice("author", 2)])
    kept.write_text(kept.read_text("utf-8").replace('"author"', '"nobody"', 1), encoding="utf-8")
    with pytest.raises(BrokenRecord, match=r"quiz\.jsonl, line 1"):
        stage.summary(kept)


@pytest.mark.parametrize(
    ("flags", "message", "code"),
    [
        ((), "no terminal to press them in", 2),
        (("--model", "nobody"), "no twin named nobody:latest", 1),
    ],
)
def test_what_is_missing_is_said_before_a_model_is_asked(
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: Sequence[str],
    message: str,
    code: int,
) -> None:
    assert press(monkeypatch, "", *flags) == code
    assert message in capsys.readouterr().err
    assert press(monkeypatch, "1", "--test-set", "data/none.jsonl") == 1
    assert "data/none.jsonl is not there" in capsys.readouterr().err
    assert not kept.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
def test_in_a_terminal_one_key_is_enough_and_a_kill_loses_nothing(kept: Path, request: pytest.FixtureRequest) -> None:
    import pty

    def end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def started() -> tuple[int, subprocess.Popen[bytes]]:
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "blogtwin", "quiz", "--rounds", "3"]
        quiz = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        request.addfinalizer(lambda: end(quiz))
        os.close(slave)
        return master, quiz

    def until(terminal: int, *told: bytes) -> None:
        seen = b""
        while not all(one in seen for one in told):
            assert select.select([terminal], [], [], 60)[0], seen
            seen += os.read(terminal, 4096)

    terminal, quiz = started()
    os.write(terminal, b"2222")  # before anything is shown
    until(terminal, b"1 of 3", b"help")
    time.sleep(1.2)
    os.write(terminal, b"1")
    until(terminal, b"2 of 3", b"help")
    os.kill(quiz.pid, signal.SIGKILL)
    quiz.wait()
    os.close(terminal)
    assert [one.chosen == one.shown[0] for one in read(kept)] == [True]
    terminal, quiz = started()
    until(terminal, b"2 of 3", b"help")
    time.sleep(1.2)
    os.write(terminal, b"2")
    until(terminal, b"3 of 3", b"help")
    time.sleep(1.2)
    os.write(terminal, b"\x03")
    until(terminal, b"kept in")
    assert quiz.wait(timeout=60) == 0
    os.close(terminal)
    assert [one.shown.index(one.chosen) for one in read(kept) if one.chosen] == [0, 1]
