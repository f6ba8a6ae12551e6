"""Examples become rows: what the model is trained on is what it will be served, and the loss is on the answer alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blogtwin.chat_template import LLAMA3
from blogtwin.errors import BrokenRecord, InputError
from blogtwin.records import Example
from blogtwin.training import examples
from blogtwin.training.rows import IGNORED, tokenized
from blogtwin.training.tokenizer import load
from tiny_models import save_tokenizer

SYSTEM = "You write as the author of this blog."


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    return load(tiny_base)


def example(output: str, given: str = "") -> Example:
    return Example(id="1", post_id="1", kind="topic", instruction="Write about clocks.", input=given, output=output)


def test_the_row_is_the_served_prompt_then_the_answer_then_the_end_marker(tokenizer: Any) -> None:
    asked = example("The clock stopped.", "An outline")
    [row] = tokenized([asked], tokenizer, LLAMA3, SYSTEM, 512).rows
    prompt = LLAMA3.prompt(asked.conversation(SYSTEM))
    assert tokenizer.decode(row.tokens) == f"{prompt}The clock stopped.<|eot_id|>"
    assert "Write about clocks.\n\nAn outline" in prompt


def test_text_is_cut_as_the_file_says_whatever_class_the_configuration_names(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    save_tokenizer("smollm", tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(settings | {"tokenizer_class": "GPT2Tokenizer"}), "utf-8"
    )
    text = "In 1987 there were 2024 clocks."
    wanted = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    assert load(tmp_path).encode(text, add_special_tokens=False) == wanted


def test_there_is_exactly_one_bos(tokenizer: Any) -> None:
    [row] = tokenized([example("The clock stopped.")], tokenizer, LLAMA3, SYSTEM, 512).rows
    assert row.tokens.count(tokenizer.bos_token_id) == 1
    assert row.tokens[0] == tokenizer.bos_token_id


def test_the_loss_is_on_the_answer_and_its_end_marker_alone(tokenizer: Any) -> None:
    [row] = tokenized([example("The clock stopped.")], tokenizer, LLAMA3, SYSTEM, 512).rows
    learned = [label for label in row.labels if label != IGNORED]
    assert tokenizer.decode(learned) == "The clock stopped.<|eot_id|>"
    assert len(row.labels) == len(row.tokens)


def test_a_long_answer_ends_at_a_sentence_and_does_not_say_that_it_ended(tokenizer: Any) -> None:
    long = "The bees came at noon. They stayed for tea. " * 60
    rows = tokenized([example(long), example("Short.")], tokenizer, LLAMA3, SYSTEM, 200)
    assert (rows.cut, rows.left_out) == (1, 0)
    kept = tokenizer.decode(rows.rows[0].tokens[rows.rows[0].prompt :])
    assert kept.endswith(("noon.", "tea."))
    assert long.startswith(kept)
    assert 150 < len(rows.rows[0].tokens) <= 200


def test_a_decimal_point_is_no_end_of_a_sentence(tokenizer: Any) -> None:
    long = "The weight is 3.5 pounds and the rope is 12.25 feet and so on " * 40
    rows = tokenized([example(f"A line.\n{long}")], tokenizer, LLAMA3, SYSTEM, 200)
    assert rows.rows == []
    assert rows.left_out == 1


def test_an_example_whose_prompt_alone_is_too_long_is_left_out_and_counted(tokenizer: Any) -> None:
    rows = tokenized([example("Yes.", "word " * 400), example("Short.")], tokenizer, LLAMA3, SYSTEM, 200)
    assert (len(rows.rows), rows.left_out) == (1, 1)


def test_alpaca_lines_and_openai_messages_are_told_apart_by_their_fields(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(
        '{"instruction": "Write.", "input": "", "output": "A clock."}\n'
        '{"messages": [{"role": "system", "content": "Be."}, {"role": "user", "content": "Write more."},'
        ' {"role": "assistant", "content": "A bee."}]}\n'
        '{"instruction": "Write nothing.", "output": "  "}\n',
        "utf-8",
    )
    assert [(one.instruction, one.output) for one in examples.read(path)] == [
        ("Write.", "A clock."),
        ("Write more.", "A bee."),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"instruction": "Write."}', "output"),
        (
            '{"messages": [{"role": "user", "content": "Only a question"}]}',
            "does not end with a question and its answer",
        ),
        ('{"messages": "none"}', "does not end with a question and its answer"),
        ('{"id": "1", "post_id": "1", "kind": "poem", "instruction": "", "input": "", "output": ""}', "kind"),
    ],
)
def test_a_line_of_another_shape_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"instruction": "Write.", "output": "A clock."}}\n{line}\n', "utf-8")
    with pytest.raises(BrokenRecord, match=reason) as caught:
        examples.read(path)
    assert caught.value.line == 2
    assert "instruction" in caught.value.hint


def test_a_training_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl is not there"):
        examples.read(tmp_path / "none.jsonl")


def test_held_out_examples_share_no_post_with_the_others() -> None:
    many = [
        Example(id=f"{post}.{n}", post_id=str(post), kind="section", instruction="", input="", output="x")
        for post in range(20)
        for n in range(3)
    ]
    train, held = examples.hold_out(many)
    assert len(train) + len(held) == 60
    assert len(held) == 6
    assert not {one.post_id for one in train} & {one.post_id for one in held}
    assert examples.hold_out(many) == (train, held)
