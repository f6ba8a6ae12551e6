"""Which passages a reader is shown beside each other, and in which order.

In: for each held-out title, the author's post and the models' answers. Out: Rounds. The same texts give the same rounds, and a
round the same order on the screen for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blogtwin.evaluation.passages import alike, plain, skip
from blogtwin.evaluation.quiz import Shape, Writer
from blogtwin.evaluation.words import words
from blogtwin.records import content_id

_FROM_A_POST = 4  # passages at most: a reader who has read more of one post knows what it tells
# One pair in four has the base in it: who does not tell that one from the author either was not reading.
_CONTROL = 4


@dataclass(frozen=True)
class Source:
    """One held-out title: what was asked, and what each wrote, as Markdown."""

    prompt: str
    post_id: str
    texts: dict[Writer, str]


@dataclass(frozen=True)
class Round:
    """Passages for one choice. passage: which one of the post, from 0. whole: a hash of the text that each was cut from."""

    id: str
    prompt: str
    post_id: str
    passage: int
    texts: dict[Writer, str]
    whole: dict[Writer, str]

    def order(self, seed: int) -> tuple[Writer, ...]:
        """The writers as they stand on the screen, drawn by the seed."""
        return tuple(sorted(self.texts, key=lambda writer: content_id(self.id, str(seed), writer)))


def rounds(sources: Sequence[Source], shape: Shape) -> list[Round]:
    """Every round that the texts give: first one of each title, then a second of each, from farther into the texts.

    Pairs are the author and the twin, each fourth the author and the base. A text that has too few words gives none, nor does
    a twin that repeats the author's passage.
    """
    found = [one for place, source in enumerate(sources) for one in _of_one(source, shape, place)]
    return sorted(found, key=lambda one: one.passage)


def _of_one(source: Source, shape: Shape, place: int) -> Iterator[Round]:
    rests = {writer: plain(text) for writer, text in source.texts.items()}
    whole = {writer: content_id(text) for writer, text in source.texts.items()}
    for number in range(_FROM_A_POST):
        for writers in _candidates(shape, place + number):
            cut = alike([rests[writer] for writer in writers])
            if cut is not None:
                break
        else:
            return
        passages, after = dict(zip(writers, cut[0], strict=True)), dict(zip(writers, cut[1], strict=True))
        length = len(words(passages["author"]))
        rests = {writer: after[writer] if writer in after else skip(text, length) for writer, text in rests.items()}
        if len(set(passages.values())) < len(passages):
            continue
        yield Round(
            id=content_id(source.prompt, *(f"{writer} {passages[writer]}" for writer in writers)),
            prompt=source.prompt,
            post_id=source.post_id,
            passage=number,
            texts=passages,
            whole={writer: whole[writer] for writer in writers},
        )


def _candidates(shape: Shape, turn: int) -> list[tuple[Writer, ...]]:
    """Who is shown, the one to try first at the beginning."""
    if shape == "triple":
        return [("author", "twin", "base")]
    with_twin: tuple[Writer, ...] = ("author", "twin")
    with_base: tuple[Writer, ...] = ("author", "base")
    return [with_base, with_twin] if turn % _CONTROL == _CONTROL - 1 else [with_twin, with_base]
