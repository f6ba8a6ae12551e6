"""Long quotations leave the answer and go into the question: the twin should react to others' words, not write them.

In: the answer that an example was to have. Out: the same with each long quotation shortened to its first words, and the
quotations. A quoted line or two stay: they are part of how the author writes.
"""

from __future__ import annotations

from collections.abc import Iterable

from blogtwin.dataset.sections import estimated_tokens, sentences
from blogtwin.markup.quotations import LONG_WORDS, beginning, long_quotations, unmarked
from blogtwin.words import count_words


def begun(given: str, answer: str) -> tuple[str, str]:
    """What is given, and the answer; a quotation near the answer's beginning, with what leads to it, is given too.

    So the question ends with the quotation, and the answer begins with what the author says to it.
    """
    for quotation in long_quotations(answer)[:1]:
        if count_words(answer[: quotation.start]) <= LONG_WORDS:
            return f"{given}\n\n{answer[: quotation.end]}".lstrip("\n"), answer[quotation.end :].strip("\n")
    return given, answer


def shortened(answer: str) -> tuple[str, list[str]]:
    """The answer with each long quotation as one line that says where it stands, and the quotations."""
    out: list[str] = []
    quoted: list[str] = []
    at = 0
    for quotation in long_quotations(answer):
        text = answer[quotation.start : quotation.end]
        ends_its_line = answer.startswith("\n\n", quotation.end) or quotation.end == len(answer)
        out += [answer[at : quotation.start], beginning(text), "" if ends_its_line else "\n"]
        quoted.append(_marked(unmarked(text)))
        at = quotation.end
    return "".join([*out, answer[at:]]), quoted


def none_longer_than(limit: int, blocks: Iterable[str]) -> list[str]:
    """The blocks, where of a quotation of more than `limit` tokens only its first sentences are left."""
    return [
        _first_sentences(block, limit)
        if block.startswith(">") and estimated_tokens(block) > limit and long_quotations(block)
        else block
        for block in blocks
    ]


def _first_sentences(quotation: str, limit: int) -> str:
    text = unmarked(quotation)
    kept = ""
    for sentence in sentences(text):
        if kept and estimated_tokens(kept + sentence) > limit:
            break
        kept += sentence
    return _marked(text if kept == text else f"{kept.rstrip()} […]")


def _marked(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
