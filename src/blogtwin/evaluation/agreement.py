"""Whether a runtime's answer is what the reference would have written, token by token, on the runtime's own path.

In: an answer as text, and the reference with the answer's prompt before it. Out: how many of its tokens are the reference's
own first choice. One early difference does not spoil the rest: the reference always reads what the runtime wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from blogtwin.evaluation.pieces import Pieces, whole
from blogtwin.evaluation.reference import Choice, Reading

_LOST = "\ufffd"  # what a runtime writes for bytes that are no character: which they were cannot be known
_SHOWN = 40  # characters before a difference


@dataclass(frozen=True)
class Departure:
    """A place where the runtime wrote something else. after: the end of the text before it. gap: nats between the two."""

    after: str
    expected: str
    found: str
    gap: float


@dataclass(frozen=True)
class Compared:
    """One answer. tokens: places that were compared. near: of those, where the runtime took the other one of two that
    rounding can turn round. apart: where it wrote something else. excess: nats that the reference gives away in all.
    A place with the same token before it, the same choice and the same token written as an earlier one is not counted again:
    an answer that goes round in circles is one finding, not forty.

    ended: the reference would end the answer where the runtime did. ran_on: the runtime went on where it would end.
    path: the answer's tokens up to the first place that was not the reference's choice; None: there was no such place.
    worst: the place with the widest gap, near ties left out.
    """

    tokens: int
    near: int
    apart: int
    excess: float
    ended: bool
    ran_on: bool
    path: list[int] | None
    worst: Departure | None


def compare(text: str, most: int, reading: Reading, pieces: Pieces, ends: Collection[int], rounding: float) -> Compared:
    """Lay one answer against the reference.

    most: tokens that the runtime was allowed. ends: tokens that end an answer. rounding: two tokens whose logits differ by
    less than this share of the spread of all logits are a near tie.
    """
    shown, lost, _ = text.partition(_LOST)
    behind = pieces.partial if lost else tuple(ends)
    tokens, choices = _cut_as_the_reference_does(shown, reading, pieces, behind, rounding)
    last = len(tokens)
    compared: list[tuple[int, Choice]] = []
    ended = ran_on = False
    for place, choice in enumerate(choices):
        if place == last:
            ended = not lost and choice.best in ends
            # Half of what was allowed, since the same text can be cut into more tokens: the limit may have ended it.
            limited = not lost and not ended and last > most // 2
            if limited or (lost and not whole(pieces.bytes(choice.best))):
                break
        elif choice.best in ends:
            compared.append((place, choice))
            ran_on = not choice.near
            break  # no answer of training goes on behind its end
        elif choice.best != tokens[place] and not pieces.bytes(choice.best):
            break  # a special token, which no text shows: what follows may stand behind it or not
        compared.append((place, choice))
    differing = [(place, choice) for place, choice in compared if choice.gap > 0]
    first = differing[0][0] if differing else None
    seen = {
        (*tokens[max(0, place - 1) : place + 1], choice.best, place == last): place for place, choice in compared[::-1]
    }
    compared = [one for one in compared if one[0] in seen.values()]
    differing = [one for one in differing if one[0] in seen.values()]
    apart = [(place, choice) for place, choice in differing if not choice.near]
    return Compared(
        tokens=len(compared),
        near=len(differing) - len(apart),
        apart=len(apart),
        excess=sum(choice.gap for _, choice in differing),
        ended=ended,
        ran_on=ran_on,
        path=None if first is None else tokens[:first],
        worst=_departure(max(apart, key=lambda one: one[1].gap), tokens, pieces, lost) if apart else None,
    )


def _cut_as_the_reference_does(
    text: str, reading: Reading, pieces: Pieces, behind: Sequence[int], rounding: float
) -> tuple[list[int], list[Choice]]:
    """Tokens that make up `text`, and the reference's choice at each and behind the last.

    A model may write `ab` as two tokens where the tokenizer has one for it, and the text does not tell. So wherever the
    text goes on with the reference's own choice, or with one that ties with it, it is cut there.
    """
    tokens, settled = pieces.tokens(text), 0
    while True:
        choices = reading.choices(tokens, behind, rounding)
        for place in range(settled, len(tokens)):
            again = _cut_at(choices[place], tokens[place:], pieces)
            if again != tokens[place:]:
                tokens, settled = [*tokens[:place], *again], place + 1
                break
        else:
            return tokens, choices


def _cut_at(choice: Choice, tokens: list[int], pieces: Pieces) -> list[int]:
    """The same bytes as `tokens`, beginning with the likeliest of the choice's ties that they can begin with, if any."""
    rest = b"".join(map(pieces.bytes, tokens))
    for token in choice.ties:
        piece = pieces.bytes(token)
        if token == tokens[0]:
            break
        if piece and rest.startswith(piece):
            again = pieces.tokens_of_bytes(rest[len(piece) :])
            if again is not None:
                return [token, *again]
    return tokens


def _departure(found: tuple[int, Choice], tokens: Sequence[int], pieces: Pieces, lost: str) -> Departure:
    place, choice = found
    after = pieces.text(tokens[:place])[-_SHOWN:]
    wrote = pieces.text(tokens[place : place + 1]) if place < len(tokens) else "bytes that are no text" if lost else ""
    return Departure(after, pieces.text([choice.best]) or "the end", wrote or "the end", choice.gap)
