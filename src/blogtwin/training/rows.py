"""Examples become rows of token numbers: the prompt as it will be served, then the answer that is learned.

In: examples, a tokenizer and a chat template. Out: rows of at most `max_length` tokens, and what was cut or left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blogtwin.chat_template import ChatTemplate
from blogtwin.records import Example

IGNORED = -100  # the label that torch's cross-entropy leaves out
_LEAST_ANSWER = 16  # tokens; a shorter rest of an answer teaches nothing but its beginning
_ENDS = re.compile(r"[.!?…](?:[\"'”’)\]*_]*)(?=\s|$)|[。！？](?:[」』）]*)|\n")


@dataclass(frozen=True)
class Row:
    """tokens: prompt and answer. prompt: how many of them are the prompt, on which there is no loss."""

    tokens: list[int]
    prompt: int

    @property
    def labels(self) -> list[int]:
        """The tokens to predict, the prompt's left out."""
        return [IGNORED] * self.prompt + self.tokens[self.prompt :]


@dataclass(frozen=True)
class Rows:
    """rows: in the examples' order. cut: answers that end early. left_out: examples of which nothing fitted."""

    rows: list[Row]
    cut: int
    left_out: int


def tokenized(
    examples: Sequence[Example], tokenizer: Any, template: ChatTemplate, system: str, max_length: int
) -> Rows:
    """Rows of at most `max_length` tokens, loss on the answer and its end marker alone.

    Prompt and answer are tokenized apart, as a runtime does that first reads the prompt and then writes; the template's
    text has its own BOS, so none is added. An answer that is too long ends at the last sentence that fits, without the
    end marker: the twin must not learn that posts stop in the middle.
    """
    rows, cut, left_out = [], 0, 0
    for example in examples:
        prompt = _numbers(tokenizer, template.prompt(example.conversation(system)))
        answer = _numbers(tokenizer, template.answer(example.output))
        room = max_length - len(prompt)
        if len(answer) > room:
            answer = _shortened(tokenizer, example.output, room) if room >= _LEAST_ANSWER else []
            cut += bool(answer)
            left_out += not answer
        if answer:
            rows.append(Row(prompt + answer, len(prompt)))
    return Rows(rows, cut, left_out)


def _numbers(tokenizer: Any, text: str) -> list[int]:
    numbers: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return numbers


def _shortened(tokenizer: Any, text: str, room: int) -> list[int]:
    """The longest beginning of `text` that ends with a sentence or a line and takes at most `room` tokens; [] for none."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    fits = offsets[min(room, len(offsets)) - 1][1]
    ends = [match.end() for match in _ENDS.finditer(text) if match.end() <= fits]
    while ends:
        numbers = _numbers(tokenizer, text[: ends.pop()].rstrip())
        if len(numbers) <= room:  # a cut may split a token in two, so the count is taken again
            return numbers if len(numbers) >= _LEAST_ANSWER else []
    return []
