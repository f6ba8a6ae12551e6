"""From a post to examples: whole sentences, the author's words alone, inside the room there is."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from blogtwin import defaults
from blogtwin.config import DataSettings
from blogtwin.dataset import prompts
from blogtwin.dataset.examples import Room, examples
from blogtwin.dataset.prose import has_prose, prose_words
from blogtwin.dataset.sections import blocks, estimated_tokens, pieces, sections, sentences
from blogtwin.errors import ConfigError
from blogtwin.markup.quotations import beginning, long_quotations, quotations
from blogtwin.records import Example, Post
from blogtwin.words import count_words

WORDINGS = prompts.load(defaults.HERE / "instructions.yaml")
ROOM = Room(512, "You are the author.")


def post(text: str, title: str = "Cups & saucers") -> Post:
    return Post(
        id="p", path="p.md", title=title, text=text, format="markdown", word_count=0, created_at=None, created_from=None
    )


def paragraphs(count: int, start: int = 0) -> str:
    one = "On day {0} the tide came in at {0} past the hour, and Mr. Pask counted {0} cups. He said so. I did not argue with him."
    return "\n\n".join(one.format(number) for number in range(start, start + count))


LONG = (
    f"It began.\n\n{paragraphs(8)}\n\n## The first part\n\n{paragraphs(8, 10)}\n\n## The script\n\nLike this:\n\n"
    f"```sh\necho one.\n\necho two.\n```\n\n{paragraphs(6, 20)}\n\n## The end\n\n{paragraphs(5, 30)}\n\nMore when it dries."
)


def test_a_short_post_is_learned_whole_from_its_title_outline_beginning_and_sections() -> None:
    text = "\n\n".join([paragraphs(1), *(f"## Part {n}\n\n{paragraphs(1, n)}" for n in (1, 2, 3))])
    found, left_out = examples(post(text), WORDINGS, ROOM, 7)
    by_kind = {
        kind: [example for example in found if example.kind == kind]
        for kind in ("topic", "outline", "continuation", "section")
    }
    assert left_out == 0
    assert [example.output for example in by_kind["topic"] + by_kind["outline"]] == [text, text]
    assert by_kind["outline"][0].input == "- Part 1\n- Part 2\n- Part 3"
    assert "\n\n".join([by_kind["continuation"][0].input, by_kind["continuation"][0].output]) == text
    assert [example.output for example in by_kind["section"]] == [paragraphs(1, n) for n in (1, 2, 3)]
    assert all("Cups & saucers" in example.instruction for example in found)


def test_a_long_post_is_cut_between_sentences_and_loses_nothing() -> None:
    found, left_out = examples(post(LONG), WORDINGS, ROOM, 7)
    parts = [example.output for example in found if example.kind in ("topic", "continuation")]
    assert len(parts) > 3
    assert left_out == 0
    assert "\n\n".join(parts) == LONG
    for example in found:
        assert estimated_tokens(example.instruction + example.input + example.output) <= 512
        assert example.output.count("```") % 2 == 0
        assert re.search(r"[.`]$", example.output)
        assert example.output == example.output.strip()
    continued = [example for example in found if example.kind == "continuation"]
    for before, example in zip(parts, continued, strict=False):
        assert before.endswith(example.input)
    asked = [example.instruction for example in continued]
    ends = [wording.replace("{title}", "Cups & saucers") for wording in WORDINGS.by_task["ending"]]
    assert [instruction in ends for instruction in asked] == [False] * (len(asked) - 1) + [True]


def test_a_code_block_longer_than_the_room_is_left_out_and_counted() -> None:
    code = "```\n" + "x = compute(1)\n" * 300 + "```"
    found, left_out = examples(post(f"{paragraphs(6)}\n\n## Code\n\n{code}\n\n{paragraphs(6, 10)}"), WORDINGS, ROOM, 7)
    assert left_out == 1
    assert found
    assert not any("compute" in example.output or example.output.endswith("Code") for example in found)


def test_one_endless_paragraph_is_cut_at_sentences_and_japanese_too() -> None:
    for text in (" ".join(paragraphs(40).split("\n\n")), "今日は時計を直しました。明日も「直す」でしょう！" * 60):
        parts, left_out = pieces(blocks(text), 200)
        assert left_out == 0
        assert len(parts) > 3
        assert all(part.text[-1] in ".。！" and estimated_tokens(part.text) <= 200 for part in parts)
        assert re.sub(r"\s", "", "".join(part.text for part in parts)) == re.sub(r"\s", "", text)


def test_abbreviations_code_and_brackets_do_not_end_a_sentence() -> None:
    text = "See Dr. Fee (he. Is) there, e.g. Monday. Use `a. B` now. “Done.” Good"
    assert [one.strip() for one in sentences(text)] == [
        "See Dr. Fee (he. Is) there, e.g. Monday.",
        "Use `a. B` now.",
        "“Done.”",
        "Good",
    ]


def test_footnotes_go_with_the_passage_that_refers_to_them() -> None:
    text = (
        LONG.replace("It began.", "It began.[^a]").replace("More when", "More[^b] when")
        + "\n\n[^a]: The first.\n\n[^b]: The last."
    )
    found, _ = examples(post(text), WORDINGS, ROOM, 7)
    opening = next(example for example in found if example.kind == "topic")
    assert opening.output.startswith("It began.[^a]")
    assert opening.output.endswith("[^a]: The first.")
    assert [example for example in found if example.kind == "continuation"][-1].output.endswith("[^b]: The last.")


SPOKEN = "The harbour master was certain that no cup had ever left the quay by night, and said so to anybody who would listen."
QUOTED = "> " + SPOKEN + "\n> " + SPOKEN + "\n>\n> He never counted."


def check_quotations(found: list[Example], room: Room = ROOM) -> None:
    """What is true of every example of a post that quotes at length."""
    assert found
    for example in found:
        assert not long_quotations(example.output), example.output
        assert room.fits(example.instruction, example.input, example.output)
        if "[…]" in example.output:
            assert QUOTED in example.input


def test_a_long_quotation_is_in_the_question_and_the_answer_says_where_it_stood() -> None:
    text = f"{paragraphs(2)}\n\nMr. Pask writes:\n\n{QUOTED}\n\n{paragraphs(3, 5)}"
    found, left_out = examples(post(text), WORDINGS, ROOM, 7)
    check_quotations(found)
    whole = found[0]
    assert left_out == 0
    assert whole.output == text.replace(QUOTED, "> The harbour master was certain that no cup had ever left the […]")
    label, quoted = whole.input.split("\n\n", 1)
    assert label in WORDINGS.by_task["quoting"]
    assert quoted == QUOTED


def test_the_answer_to_a_quotation_begins_where_the_quotation_ends() -> None:
    text = f"{paragraphs(2)}\n\nMr. Pask writes:\n\n{QUOTED}\n\n{paragraphs(3, 5)}"
    found, _ = examples(post(text), WORDINGS, ROOM, 7)
    rest = next(example for example in found if example.kind == "continuation")
    assert rest.input == f"{paragraphs(2)}\n\nMr. Pask writes:\n\n{QUOTED}"
    assert rest.output == paragraphs(3, 5)


def test_a_long_post_with_many_quotations_fits_the_room_and_keeps_the_authors_words() -> None:
    parts = [f"{paragraphs(3, 10 * n)}\n\nAnd then, number {n}:\n\n{QUOTED}" for n in range(12)]
    text = "\n\n".join([*parts, paragraphs(2, 200)])
    found, left_out = examples(post(text), WORDINGS, ROOM, 7)
    check_quotations(found)
    assert left_out == 0
    said = "\n\n".join(example.output for example in found if example.kind in ("topic", "continuation"))
    for sentence in paragraphs(2, 200).split("\n\n"):
        assert sentence in said
    assert sum(example.input.endswith("He never counted.") for example in found) >= 6


def test_a_quotation_longer_than_the_room_is_given_by_its_first_sentences() -> None:
    endless = "> " + " ".join(f"Cup {number} was counted twice before noon, he says." for number in range(200))
    found, left_out = examples(post(f"{paragraphs(3)}\n\n{endless}\n\n{paragraphs(4, 5)}"), WORDINGS, ROOM, 7)
    check_quotations(found)
    assert left_out == 0
    reply = next(example for example in found if example.input.endswith("[…]"))
    assert paragraphs(4, 5).startswith(reply.output)
    assert "Cup 3 was counted twice" in reply.input


@pytest.mark.parametrize(
    "kept",
    [
        "> A line or two stays where it is.",
        "> [!NOTE]\n> " + f"{SPOKEN} " * 3,
        "> **Update, June 2012:** " + f"{SPOKEN} " * 3,
        "> Note: " + f"{SPOKEN} " * 3,
        "```\n> " + f"{SPOKEN} " * 3 + "\n```",
    ],
)
def test_short_quotations_and_the_authors_own_boxes_stay_in_the_answer(kept: str) -> None:
    text = f"{paragraphs(2)}\n\n{kept}\n\n{paragraphs(3, 5)}"
    found, _ = examples(post(text), WORDINGS, ROOM, 7)
    assert found[0].output == text
    assert found[0].input == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > b\n\n> one\nand lazily two\n\n> three\n\nend", ["> one\nand lazily two\n\n> three"]),
        ("Né.\n\n- item\n\n  > in é\n  > list\n\n> after", ["> in é\n  > list", "> after"]),
        ("> > deep\n> shallow", ["> > deep\n> shallow"]),
        ("`> x`\n\n    > code\n\n```\n> code\n```", []),
        ("> Updates to the system failed.", ["> Updates to the system failed."]),
    ],
)
def test_quotations_are_found_where_markdown_has_them(text: str, expected: list[str]) -> None:
    assert [text[one.start : one.end] for one in quotations(text)] == expected


def test_a_shortened_quotation_is_one_short_line_in_any_script() -> None:
    assert beginning("> **Bold** words,\n> and `more`") == "> Bold words, and more […]"
    assert len(beginning("> " + "海の水は青いと彼は言いました" * 20)) < 40
    assert beginning(">\n> ") == "> […]"


def test_a_quotation_in_a_list_does_not_swallow_what_follows() -> None:
    text = f"{paragraphs(2)}\n\n- He says:\n\n  {QUOTED.replace(chr(10), chr(10) + '  ')}\n\n  I do not.\n\n{paragraphs(2, 5)}"
    found, _ = examples(post(text), WORDINGS, ROOM, 7)
    assert not any(long_quotations(example.output) for example in found)
    assert "[…]\n\n  I do not." in found[0].output


def test_prose_is_neither_code_nor_formulas_nor_addresses() -> None:
    text = "One *two* `three` $x_1 + y$ four\nfive.\n\n    code\n\n- [six](https://example.org) https://example.org/seven\n"
    assert prose_words(text) == 5
    assert prose_words(r"A \\(x + y\\) b \[ c \]") == 2
    assert prose_words("時計を直した。") == 6
    assert has_prose(text, 5)
    assert not has_prose(text, 6)


@pytest.mark.parametrize("hostile", ["> a\n\nb\n\n" * 40_000, ">" * 300_000, "> " * 100_000, "- > a\n" * 50_000])
def test_hostile_quotations_cost_little(hostile: str) -> None:
    began = time.process_time()
    examples(post(hostile), WORDINGS, ROOM, 7)
    assert time.process_time() - began < 6


def test_the_wording_depends_on_the_post_and_the_seed_alone() -> None:
    first, _ = examples(post(LONG), WORDINGS, ROOM, 7)
    assert examples(post(LONG), WORDINGS, ROOM, 7)[0] == first
    assert [one.instruction for one in examples(post(LONG), WORDINGS, ROOM, 8)[0]] != [one.instruction for one in first]


def test_blocks_keep_code_and_list_items_whole() -> None:
    text = "Text.\n\n```\na\n\nb\n```\n\n- one\n\n  still one\n\n    code\n\nEnd."
    assert "\n\n".join(blocks(text)) == text
    assert blocks(text)[1] == "```\na\n\nb\n```"
    assert [section.heading for section in sections(blocks("# A\n\nx\n\n## b\n\ny\n\n# C\n\nz"))] == ["A", "C"]


def test_words_are_counted_in_any_script() -> None:
    assert count_words("Don't stop: it's 9 o'clock.") == 5
    assert count_words("時計を直した。") == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("section:", "sektion:"), "line .*unknown kind 'sektion'"),
        (lambda text: text.replace("{title}", "{titel}", 1), r"no \{titel\}"),
        (lambda text: text.replace(" about: {title}", " about"), r"must hold \{title\}"),
        (lambda text: text.split("# above a passage")[0], "no wording for 'quoting'"),
        (lambda text: "topic: []\n", "line 1: topic needs at least one wording"),
        (lambda text: "topic: [\n", "is not YAML"),
        (lambda text: "- a\n", "kinds of instruction"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_wordings_is_named_with_file_and_line(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "instructions.yaml"
    original = (defaults.HERE / "instructions.yaml").read_text(encoding="utf-8")
    text = original[original.index("# title → the whole post") :]
    path.write_text(change(text), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(ConfigError, match=said) as refused:
        prompts.load(path)
    assert "instructions.yaml" in refused.value.message
    assert refused.value.hint


def test_the_users_own_wordings_come_first_and_a_wrong_path_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert prompts.file(DataSettings()) == defaults.HERE / "instructions.yaml"
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "instructions.yaml").touch()
    assert prompts.file(DataSettings()).read_text() == ""
    with pytest.raises(ConfigError, match="is not there"):
        prompts.file(DataSettings(instructions_file=Path("mine.yaml")))
