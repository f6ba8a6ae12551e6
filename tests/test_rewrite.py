"""Rewriting: a long text goes to the twin in passages that fit, and comes back whole, with what is nobody's voice left alone."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blogtwin import drafting, jsonl
from blogtwin.cli.app import main
from blogtwin.config import load_settings
from blogtwin.dataset.passages import Passage, passages
from blogtwin.dataset.sections import estimated_tokens
from blogtwin.errors import UsageError
from blogtwin.progress import Silent
from blogtwin.records import Deployment, Example, Sampling
from blogtwin.stages import parallel, preferences
from blogtwin.workspace import Workspace, deployment, forget_deployment, save_deployment
from blogtwin.writing import rewrite

INSTRUCTION = "Say it as I would."
PLAIN = (
    "The meeting of the harbour committee will take place on Tuesday at ten in the morning, in the hall beside the church.",
    "Participants are kindly requested to bring the documents that were sent to them by post in the course of last week.",
    "A light lunch will be provided for everyone who has registered in advance with the secretary of the committee.",
)
MINE = (
    "Tuesday at ten we sit in the hall by the church and talk about the harbour.",
    "Bring the papers I posted last week.",
    "There is soup, if you told Ann.",
)
CODE = "```python\n" + "".join(f"if tide < {n}:\n    wade({n})\n" for n in range(12)) + "```"
TABLE = "| tide | hour |\n|------|------|\n| high | six  |"
FRONT = "---\ntitle: The harbour\n---"
LONG = "\n\n".join([FRONT, PLAIN[0], CODE, PLAIN[1], TABLE, PLAIN[2]])
WANTED = "\n\n".join([FRONT, MINE[0], CODE, MINE[1], TABLE, MINE[2]])


# --- passages


def test_a_text_that_fits_is_one_passage_but_for_its_code_and_tables() -> None:
    prose = "\n\n".join(PLAIN)
    assert passages(f"{FRONT}\n\n{prose}", 10_000) == [Passage(FRONT, False), Passage(prose)]
    assert [one.text for one in passages(LONG, 10_000) if not one.rewritten] == [FRONT, CODE, TABLE]
    assert passages(TABLE, 10_000) == [Passage(TABLE)]


def test_a_long_text_keeps_every_word() -> None:
    text = "\n\n".join(f"{PLAIN[n % 3]} It is number {n}." for n in range(40)) + f"\n\n{CODE}\n\n{TABLE}\n\nThe end."
    found = passages(text, 120)
    assert "\n\n".join(one.text for one in found) == text
    assert len(found) > 10
    assert all(estimated_tokens(one.text) <= 120 for one in found if one.rewritten)
    assert [one.text for one in found if not one.rewritten] == [CODE, TABLE]


def test_a_block_that_no_cut_makes_short_enough_stays_and_parts_nothing_else() -> None:
    endless = "word" * 400
    found = passages(f"{PLAIN[0]}\n\n{endless}\n\n{PLAIN[1]}\n\n{PLAIN[2]}", 90)
    assert [one.text for one in found if not one.rewritten] == [endless]
    assert "\n\n".join(one.text for one in found if one.rewritten) == "\n\n".join(PLAIN)


@pytest.mark.parametrize("text", ["", " \n ", "---\ntitle: x\n---\n"])
def test_a_text_without_words_has_nothing_to_rewrite(text: str) -> None:
    assert not [one for one in passages(text, 100) if one.rewritten]


def test_lines_of_another_system_are_read_alike() -> None:
    assert passages(LONG.replace("\n", "\r\n"), 60) == passages(LONG, 60)


# --- answers as they come


def test_white_space_around_an_answer_is_left_out_as_it_comes() -> None:
    pieces = iter([" \n", " It", " is ", "", "\n", "\n so", ". \n"])
    assert list(rewrite.told(pieces, "no")) == ["It", " is", " \n\n so", "."]


def test_where_no_answer_comes_the_text_stays() -> None:
    assert list(rewrite.told(iter([" ", "\n"]), "as it was")) == ["as it was"]


def test_closing_a_rewriting_stops_the_model() -> None:
    stopped = []

    def endless() -> Iterator[str]:
        try:
            while True:
                yield "word "
        finally:
            stopped.append(True)

    told = rewrite.told(endless(), "")
    assert [next(told), next(told)] == ["word", " word"]
    told.close()  # type: ignore[attr-defined]
    assert stopped == [True]


def test_a_passage_and_its_rewriting_fit_into_the_context() -> None:
    for context in (256, 512, 4096):
        most = rewrite.budget(context)
        chosen = rewrite.sampling_of(Sampling.greedy(10), 5, context, most)
        assert chosen.max_tokens + most < context
        assert chosen.max_tokens >= 1.4 * most
    with pytest.raises(UsageError, match="too few for a text and its rewriting"):
        rewrite.budget(128)
    with pytest.raises(UsageError, match="0 rewritings"):
        rewrite.seeds(0, None)


# --- the whole way, on real llama.cpp


@pytest.fixture(scope="module")
def rewriter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A twin in service that has learned by heart the pairs that prepare-dataset made; its home."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    import tiny_models
    from blogtwin.export.gguf import write_gguf
    from blogtwin.runtimes.choose import choose
    from test_export import artifact_of

    folder = tmp_path_factory.mktemp("rewriter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in zip(PLAIN, MINE, strict=True)))
        settings = load_settings(None, {"data": {"output_dir": folder}})
        parallel.run(settings, Workspace.here(settings), Silent(), folder / "pairs.tsv", INSTRUCTION)
        output = folder / "rewriting_data.jsonl"
        examples = [one for path in (output, preferences.held_out_beside(output)) for one in jsonl.read(path, Example)]
        template = tiny_models.template_of(tiny_base)
        words = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
        rows = []
        for one in examples:
            prompt = words.encode(template.prompt(one.conversation(tiny_models.SYSTEM)), add_special_tokens=False).ids
            answer = words.encode(template.answer(one.output), add_special_tokens=False).ids
            rows.append((len(prompt), prompt + answer))
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        tiny_models.learn(model, rows, 400)
        merged = folder / "merged"
        model.half().save_pretrained(merged)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (merged / name).write_bytes((tiny_base / name).read_bytes())
        (merged / "chat_template.jinja").write_text(template.jinja, "utf-8")
        write_gguf(merged, merged / "model.gguf", "f16", "tiny", Silent())
        adapter = tiny_models.save_adapter(tiny_base, folder / "adapter", std=0.02)
        tiny_models.write_card(adapter, tiny_base, rewriting=INSTRUCTION)
        artifact = artifact_of(merged / "model.gguf", "llama3", tiny_models.SYSTEM)
        artifact = artifact.model_copy(update={"sampling": Sampling.greedy(200)})
        runtime = choose("llama-cpp", "")
        runtime.install(artifact, "my-twin:latest", Silent())
        save_deployment(Deployment(name="my-twin:latest", runtime="llama-cpp", adapter=str(adapter), artifact=artifact))
        yield folder / "home"
        runtime.remove("my-twin:latest")


@pytest.fixture
def at_home(rewriter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("BLOGTWIN_HOME", str(rewriter))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.strip()


def test_a_long_text_comes_back_whole_in_the_authors_words(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_home / "long.md").write_text(LONG, "utf-8")
    assert main(["rewrite", "long.md", "--model", "my-twin"]) == 0
    assert told(capsys) == WANTED


def test_the_text_may_come_from_a_pipe_or_a_word_file_and_go_into_one(
    at_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Piped:
        buffer = io.BytesIO(b"\xef\xbb\xbf" + PLAIN[1].encode() + b"\n")

    monkeypatch.setattr(sys, "stdin", Piped())
    assert main(["rewrite", "-", "--model", "my-twin", "--output", "mine.docx"]) == 0
    assert told(capsys) == MINE[1]
    from docx import Document

    assert MINE[1] in [paragraph.text for paragraph in Document("mine.docx").paragraphs]
    document = Document()
    document.add_paragraph(PLAIN[2])
    document.save("plain.docx")
    assert main(["rewrite", "plain.docx", "--model", "my-twin", "--format", "html"]) == 0
    assert f"<p>{MINE[2]}</p>" in told(capsys)


def test_three_options_are_three_files_and_the_same_seed_writes_the_same(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (at_home / "plain.txt").write_text(PLAIN[0], "utf-8")
    command = ["rewrite", "plain.txt", "--model", "my-twin", "--options", "3", "--seed", "4", "--output", "mine.md"]
    assert main(command) == 0
    told(capsys)
    texts = [(at_home / f"mine-{number}.md").read_text("utf-8").strip() for number in (1, 2, 3)]
    assert texts == [MINE[0]] * 3  # this twin always takes its likeliest word


def test_the_instruction_is_that_of_training_unless_another_is_given(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    chat = drafting._rewritten

    def listening(runtime: Any, name: str, parts: Any, told: str, *rest: Any) -> Iterator[str]:
        asked.append(told)
        return chat(runtime, name, parts, told, *rest)

    monkeypatch.setattr(drafting, "_rewritten", listening)
    settings = load_settings(None, {"deployment": {"model_name": "my-twin"}})
    for instruction in (None, "Make it short."):
        next(drafting.rewrites(settings, PLAIN[0], 1, 1, instruction)).close()  # type: ignore[attr-defined]
    assert asked == [INSTRUCTION, "Make it short."]
    # An adapter that is gone leaves the wording of the instructions.
    moved = replace(settings, deployment=replace(settings.deployment, model_name="gone:latest"))
    gone = deployment("my-twin").model_copy(update={"name": "gone:latest", "adapter": str(at_home / "nowhere")})
    save_deployment(gone)
    try:
        assert drafting._trained_to(moved) is None
    finally:
        forget_deployment("gone:latest")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.md"], 1, "nowhere.md is not there"),
        (["empty.md"], 2, "there is nothing to rewrite"),
        (["latin.txt"], 1, "is not UTF-8"),
        (["picture.png"], 1, "is of no format that is read"),
        (["plain.md", "--format", "docx"], 2, "a Word file cannot be printed"),
        (["plain.md", "--options", "0"], 2, "0 rewritings cannot be made"),
    ],
)
def test_what_cannot_be_rewritten_is_said_with_the_way_out(
    at_home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    (at_home / "empty.md").write_text(" \n")
    (at_home / "plain.md").write_text(PLAIN[0])
    (at_home / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (at_home / "picture.png").write_bytes(b"\x89PNG")
    assert main(["rewrite", *arguments, "--model", "my-twin"]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "hint:" in captured.err
    assert not captured.out
