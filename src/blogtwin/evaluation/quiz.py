"""“Which one is me?”: what readers chose between passages whose writers they were not told, and what that says of the twin.

In: Choices, one a round. Out: a QuizSummary with intervals and plain sentences. Nothing here reads a file or a key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from blogtwin.records import Record

Writer = Literal["author", "twin", "base"]
Shape = Literal["pair", "triple"]

YOU = "you"  # the reader who did not give a name
_NAMES = {"twin": "the twin", "base": "the base model"}
_Z = 1.959964  # of the normal distribution: 95% lie between -z and z


class Choice(Record):
    """One round as it was read and answered; `shown` has the writers in the order of the screen.

    round: the round's id. passage: which one of the post, from 0. texts: as they were read, cut and levelled. whole: a hash of
    the text that each was cut from. version: of the twin, a hash of all that changes what it says; version_name: its dated name.
    base: a hash of the base. chosen: the writer taken for the author; None: skipped. seconds: from showing to choosing.
    revealed: whether the solution was shown afterwards. seed: of the order on the screen. at: UTC.
    """

    round: str
    prompt: str
    post_id: str
    passage: int
    shown: tuple[Writer, ...]
    texts: dict[Writer, str]
    whole: dict[Writer, str]
    chosen: Writer | None
    reader: str
    model: str
    version: str
    version_name: str | None
    base: str
    seed: int
    seconds: float
    revealed: bool
    at: datetime

    @property
    def shape(self) -> Shape:
        """Whether two or three passages were shown."""
        return "pair" if len(self.shown) == 2 else "triple"


class Taken(Record):
    """How often `writer` was taken for the author, of the rounds of one shape in which its text was shown.

    low, high: 95% Wilson interval of the share. chance: the share at which nobody could tell.
    """

    writer: Literal["twin", "base"]
    shape: Shape
    times: int
    rounds: int
    share: float
    low: float
    high: float
    chance: float


class ReaderTally(Record):
    """One reader's choices. right: the author's text was found. rounds: decided ones; skipped come on top."""

    reader: str
    rounds: int
    right: int
    skipped: int
    taken: tuple[Taken, ...]


class QuizSummary(Record):
    """What all readers chose for one version of a twin; `sentences` says each of `taken` in plain words, in the same order.

    rounds: decided ones; skipped come on top. posts: held-out posts that the passages are from. Rounds from the same post, or
    read by several people, are not independent: with fewer posts than rounds the intervals are somewhat too narrow.
    """

    model: str
    version: str
    version_name: str | None
    rounds: int
    right: int
    skipped: int
    posts: int
    taken: tuple[Taken, ...]
    sentences: tuple[str, ...]
    readers: tuple[ReaderTally, ...]
    first: datetime
    last: datetime


def summed(choices: Sequence[Choice]) -> QuizSummary | None:
    """What was chosen, all of one version, in the order of time; None where nothing was.

    Of several answers of one reader to one round the last counts.
    """
    counted = list({(choice.reader, choice.round): choice for choice in choices}.values())
    if not counted:
        return None
    decided = [choice for choice in counted if choice.chosen]
    readers = list(dict.fromkeys(choice.reader for choice in counted))
    taken = _taken(decided)
    last = counted[-1]
    return QuizSummary(
        model=last.model,
        version=last.version,
        version_name=last.version_name,
        rounds=len(decided),
        right=_right(decided),
        skipped=len(counted) - len(decided),
        posts=len({choice.post_id for choice in decided}),
        taken=taken,
        sentences=tuple(sentence(one, _readers(decided, one)) for one in taken),
        readers=tuple(_tally(name, [choice for choice in counted if choice.reader == name]) for name in readers),
        first=min(choice.at for choice in counted),
        last=max(choice.at for choice in counted),
    )


def _tally(reader: str, choices: Sequence[Choice]) -> ReaderTally:
    decided = [choice for choice in choices if choice.chosen]
    return ReaderTally(
        reader=reader,
        rounds=len(decided),
        right=_right(decided),
        skipped=len(choices) - len(decided),
        taken=_taken(decided),
    )


def _right(decided: Sequence[Choice]) -> int:
    return sum(choice.chosen == "author" for choice in decided)


def _readers(decided: Sequence[Choice], taken: Taken) -> list[str]:
    """Who decided the rounds of one figure."""
    return list(dict.fromkeys(one.reader for one in decided if one.shape == taken.shape and taken.writer in one.shown))


def _taken(decided: Sequence[Choice]) -> tuple[Taken, ...]:
    """The twin's share and the base's, in pairs and in triples, where there were such rounds."""
    found = []
    shapes: tuple[Shape, ...] = ("pair", "triple")
    writers: tuple[Literal["twin", "base"], ...] = ("twin", "base")
    for shape in shapes:
        for writer in writers:
            rounds = [choice for choice in decided if choice.shape == shape and writer in choice.shown]
            if rounds:
                times = sum(choice.chosen == writer for choice in rounds)
                low, high = wilson(times, len(rounds))
                found.append(
                    Taken(
                        writer=writer,
                        shape=shape,
                        times=times,
                        rounds=len(rounds),
                        share=times / len(rounds),
                        low=low,
                        high=high,
                        chance=1 / len(rounds[0].shown),
                    )
                )
    return tuple(found)


def wilson(times: int, of: int) -> tuple[float, float]:
    """The 95% score interval of a share, `times` of `of` (at least 1).

    Wilson, 1927, Journal of the American Statistical Association 22(158), 209-212. It keeps its promise with few rounds, and
    for shares of 0 and 1, where the usual p ± 1.96 standard errors has no width (Brown, Cai and DasGupta, 2001, Statistical
    Science 16(2), 101-133).
    """
    share, square = times / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return (
        middle - half if times else 0.0,
        middle + half if times < of else 1.0,
    )  # exact where rounding would miss by a hair


def sentence(taken: Taken, readers: Sequence[str]) -> str:
    """One figure in plain words: “You took the twin for yourself in 9 of 20 pairs (45%, between 26% and 66%); …”."""
    you = list(readers) == [YOU]
    who = "You" if you else readers[0] if len(readers) == 1 else f"{len(readers)} readers"
    shape = taken.shape if taken.rounds == 1 else f"{taken.shape}s"
    between = f"{_percent(taken.share)}, between {_percent(taken.low)} and {_percent(taken.high)}"
    return (
        f"{who} took {_NAMES[taken.writer]} for {'yourself' if you else 'the author'} in {taken.times} of {taken.rounds} {shape} "
        f"({between}); at {_percent(taken.chance)} nobody could tell. {_reading(taken, you, shape)}"
    )


def _reading(taken: Taken, you: bool, shape: str) -> str:
    name = _NAMES[taken.writer].capitalize()
    if taken.high < taken.chance:
        return f"{name} is told from {'you' if you else 'the author'}."
    if taken.low > taken.chance:
        return f"{name} is chosen more often than by chance."
    return f"As far as {taken.rounds} {shape} can show, that is no different from guessing."


def _percent(share: float) -> str:
    return f"{share:.0%}"
