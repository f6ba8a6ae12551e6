"""Examples, pairs and ratings become rows of token numbers: the prompt as it will be served, then what is learned.

In: records, a tokenizer and a chat template. Out: rows of at most `max_length` tokens, and what was cut or left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from blogtwin.chat_template import ChatTemplate
from blogtwin.records import Example, Message
from blogtwin.training.preferences import Pair, Rating, same_beginning

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
class PairRow:
    """Tokens of a prompt and of its better and its worse answer. example: the better one is learned as an example, too."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    example: bool = True


@dataclass(frozen=True)
class RatedRow:
    """Tokens of a prompt and of an answer. label: whether it is a good one."""

    prompt: list[int]
    completion: list[int]
    label: bool


AnyRow = Row | PairRow | RatedRow
R = TypeVar("R", Row, PairRow, RatedRow)


@dataclass(frozen=True)
class Rows(Generic[R]):
    """rows: in the records' order. cut: those with an answer that ends early. left_out: records of which nothing fitted."""

    rows: list[R]
    cut: int
    left_out: int


def tokenized(
    examples: Sequence[Example], tokenizer: Any, template: ChatTemplate, system: str, max_length: int
) -> Rows[Row]:
    """Rows of at most `max_length` tokens, loss on the answer and its end marker alone.

    Prompt and answer are tokenized apart, as a runtime does that first reads the prompt and then writes; the template's
    text has its own BOS, so none is added. An answer that is too long ends at the last sentence that fits, without the
    end marker: the twin must not learn that posts stop in the middle.
    """
    rows, cut = [], 0
    for example in examples:
        prompt, (answer,), shortened = _parts(
            example.conversation(system), (example.output,), tokenizer, template, max_length
        )
        if answer:
            rows.append(Row(prompt + answer, len(prompt)))
            cut += shortened
    return Rows(rows, cut, len(examples) - len(rows))


def paired(
    pairs: Sequence[Pair | Example], tokenizer: Any, template: ChatTemplate, system: str, max_length: int
) -> Rows[PairRow]:
    """Rows of which prompt and either answer have at most `max_length` tokens; else as `tokenized`.

    What both answers begin with belongs to the prompt: it cancels out of the comparison, and learned as an example it
    would be the draft itself. Its beginning is left out where the rest would not fit. A pair whose answers differ only where
    they were cut off is left out. An example becomes a row whose answers are the same: it compares nothing, and is learned.
    """
    rows, cut = [], 0
    for pair in pairs:
        if isinstance(pair, Example):
            known = tokenized([pair], tokenizer, template, system, max_length)
            for row in known.rows:
                answer = row.tokens[row.prompt :]
                rows.append(PairRow(row.tokens[: row.prompt], answer, answer))
            cut += known.cut
            continue
        answers = [_answer(template, text, pair.goes_on) for text in (pair.chosen, pair.rejected)]
        numbers = [_numbers(tokenizer, text) for text in answers]
        shared = min(same_beginning(*numbers), *(len(one) - 1 for one in numbers))
        conversation = asked(pair.prompt, system, pair.before)
        prompt, (chosen, rejected), shortened = _fitted(
            conversation, answers, numbers, shared, tokenizer, template, max_length
        )
        if chosen and rejected and chosen != rejected:
            rows.append(PairRow(prompt, chosen, rejected, example=not pair.draft))
            cut += shortened
    return Rows(rows, cut, len(pairs) - len(rows))


def rated(
    ratings: Sequence[Rating | Example], tokenizer: Any, template: ChatTemplate, system: str, max_length: int
) -> Rows[RatedRow]:
    """Rows of at most `max_length` tokens; else as `paired`. An example is a good answer."""
    rows, cut = [], 0
    for rating in ratings:
        if isinstance(rating, Example):
            known = tokenized([rating], tokenizer, template, system, max_length)
            rows += [RatedRow(row.tokens[: row.prompt], row.tokens[row.prompt :], True) for row in known.rows]
            cut += known.cut
            continue
        text = _answer(template, rating.completion, rating.goes_on)
        told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        given = len(template.answer_begin) + rating.given if rating.given else 0
        shared = sum(end <= given for _, end in told["offset_mapping"])
        prompt, (answer,), shortened = _fitted(
            asked(rating.prompt, system, rating.before),
            [text],
            [told["input_ids"]],
            min(shared, len(told["input_ids"]) - 1),
            tokenizer,
            template,
            max_length,
        )
        if answer:
            rows.append(RatedRow(prompt, answer, rating.label))
            cut += shortened
    return Rows(rows, cut, len(ratings) - len(rows))


def asked(prompt: str, system: str, before: tuple[Message, ...] = ()) -> tuple[Message, ...]:
    """The conversation that an example with this instruction has."""
    return Message(role="system", content=system), *before, Message(role="user", content=prompt.strip())


def _answer(template: ChatTemplate, text: str, goes_on: bool) -> str:
    return template.answer_begin + text if goes_on else template.answer(text)


def _fitted(
    conversation: tuple[Message, ...],
    answers: Sequence[str],
    numbers: Sequence[list[int]],
    shared: int,
    tokenizer: Any,
    template: ChatTemplate,
    max_length: int,
) -> tuple[list[int], list[list[int]], bool]:
    """Tokens of the prompt, those of each answer ([] where it does not fit), and whether one ends early.

    answers: their texts; numbers: their tokens, of which the first `shared` are the same, and go to the prompt.
    """
    prompt = _numbers(tokenizer, template.prompt(conversation))
    room = max_length - len(prompt)
    too_many = max(0, max(map(len, numbers)) - room)
    if too_many <= shared:
        return prompt + numbers[0][too_many:shared], [one[shared:] for one in numbers], False
    if room < _LEAST_ANSWER:
        return prompt, [[] for _ in numbers], True
    ended = (
        one if len(one) <= room else _shortened(tokenizer, text.removesuffix(template.turn_end), room)
        for text, one in zip(answers, numbers, strict=True)
    )
    return prompt, list(ended), True


def _parts(
    conversation: tuple[Message, ...], answers: tuple[str, ...], tokenizer: Any, template: ChatTemplate, max_length: int
) -> tuple[list[int], list[list[int]], bool]:
    """Tokens of the prompt, tokens of each answer ([] where it does not fit), and whether one ends early."""
    prompt = _numbers(tokenizer, template.prompt(conversation))
    room = max_length - len(prompt)
    fitted, shortened = [], False
    for text in answers:
        answer = _numbers(tokenizer, template.answer(text))
        if len(answer) > room:
            answer = _shortened(tokenizer, template.answer_begin + text, room) if room >= _LEAST_ANSWER else []
            shortened = True
        fitted.append(answer)
    return prompt, fitted, shortened


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
