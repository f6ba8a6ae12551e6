"""From a post to examples: whole sentences, the author's words alone, inside the room there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from blogtwin import defaults
from blogtwin.config import DataSettings
from blogtwin.dataset import prompts
from blogtwin.dataset.examples import Room, examples
from blogtwin.dataset.sections import blocks, estimated_tokens, pieces, sections, sentences
from blogtwin.errors import ConfigError
from blogtwin.records import Post
from blogtwin.words import count_words, jaccard, shingles

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
        parts, left_out = pieces(text, 200)
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


def test_the_wording_depends_on_the_post_and_the_seed_alone() -> None:
    first, _ = examples(post(LONG), WORDINGS, ROOM, 7)
    assert examples(post(LONG), WORDINGS, ROOM, 7)[0] == first
    assert [one.instruction for one in examples(post(LONG), WORDINGS, ROOM, 8)[0]] != [one.instruction for one in first]


def test_blocks_keep_code_and_list_items_whole() -> None:
    text = "Text.\n\n```\na\n\nb\n```\n\n- one\n\n  still one\n\n    code\n\nEnd."
    assert "\n\n".join(blocks(text)) == text
    assert blocks(text)[1] == "```\na\n\nb\n```"
    assert [section.heading for section in sections("# A\n\nx\n\n## b\n\ny\n\n# C\n\nz")] == ["A", "C"]


def test_words_are_counted_in_any_script() -> None:
    assert count_words("Don't stop: it's 9 o'clock.") == 5
    assert count_words("時計を直した。") == 6
    assert jaccard(shingles("The SAME, words as before!"), shingles("the same words as before")) == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("section:", "sektion:"), "line .*unknown kind 'sektion'"),
        (lambda text: text.replace("{title}", "{titel}", 1), r"no \{titel\}"),
        (lambda text: text.replace(" about: {title}", " about"), r"must hold \{title\}"),
        (lambda text: text.split("# title and heading →")[0], "no wording for 'section'"),
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
