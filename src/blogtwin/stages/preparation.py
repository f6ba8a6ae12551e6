"""One preparation under way: a card for each post, and what each pass over the posts adds to it.

In: the posts, a folder for what does not fit in memory. Out: examples on two sides, a report on every post, the map of stand-ins.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from blogtwin import atomic, file_reports, jsonl, workers
from blogtwin.cleaning.authorship import written_with
from blogtwin.cleaning.names import signed_by, who_signed_most
from blogtwin.config import Private, Settings
from blogtwin.dataset import dedupe
from blogtwin.dataset.boilerplate import recurring, shown, words_of
from blogtwin.dataset.cards import Card
from blogtwin.dataset.dedupe import Duplicate, Likeness, Pair
from blogtwin.dataset.examples import Room
from blogtwin.dataset.privacy import Privacy
from blogtwin.dataset.prompts import Wordings
from blogtwin.dataset.sections import heading_of
from blogtwin.dataset.split import held_out
from blogtwin.errors import InputError
from blogtwin.jsonl import Line
from blogtwin.progress import Task
from blogtwin.records import FileReport, Post
from blogtwin.stages import passes
from blogtwin.stages.result import Problem
from blogtwin.stages.spool import Spool, bytes_at

Item = TypeVar("Item")
Result = TypeVar("Result")

# Posts that share this much stand on one side of the split, even where they are different enough to be kept both: a
# sequel that quotes its first part, a yearly list. Unrelated posts of one author share under 0.02.
_ALIKE = 0.3
_CALLED: dict[Private, str] = {
    "email": "e-mail address",
    "phone": "phone number",
    "key": "key or token",
    "address": "street address",
    "name": "name",
}


class Preparation:
    """The passes, to be called in the order in which they stand here."""

    def __init__(self, settings: Settings, posts: Path, folder: Path, task: Task) -> None:
        self._settings, self._posts, self._folder, self._task = settings, posts, folder, task
        self._workers = workers.count(settings.machine.threads)
        self._spooled = passes.Spooled(folder / "posts", frozenset())
        self._examples: dict[str, tuple[Line, tuple[int, ...]]] = {}  # id → where they stand, how many of each of KINDS
        self._alike: list[tuple[str, str]] = []  # ids
        self.cards: list[Card] = []
        self.stand_ins: dict[Private, dict[str, str]] = {}
        self.replaced: Counter[Private] = Counter()
        self.recurs: Counter[str] = Counter()  # boilerplate → posts it was cut from
        self.remarks: list[Problem] = []

    def read(self, lines: Iterable[Line]) -> None:
        """Every post, without what is private in it, to the folder; afterwards the boilerplate is known."""
        data, privacy = self._settings.data, self._settings.privacy
        job = passes.Reading(self._posts, Privacy(privacy.replace, privacy.names), data.drafts)
        passages = (array("q"), array("Q"), array("H"))  # the post each stands in, its hash, its words
        lines = list(lines)
        with self._spooled.posts.open("wb") as file:
            spool = Spool(file)
            for line, found in zip(lines, self._each(partial(passes.read, job), lines), strict=True):
                if found.broken:
                    jsonl.read_at(self._posts, line, Post)  # raises what is wrong with it
                for one in found.passages:
                    for column, value in zip(passages, (len(self.cards), one.hash, one.words), strict=True):
                        column.append(value)
                self.cards.append(self._card(found, spool.add(found.line)))
        hashes, words = np.frombuffer(passages[1], np.uint64), np.frombuffer(passages[2], np.uint16)
        cut = recurring(np.frombuffer(passages[0], np.int64), hashes, words, len(self.cards))
        self._spooled = passes.Spooled(self._spooled.posts, cut)
        self.cards.sort(key=lambda card: (card.path, card.id))
        self._drop_what_others_signed()

    def _drop_what_others_signed(self) -> None:
        """Posts signed by others than the chosen author, or than whoever signed more than half of all that are signed."""
        signatures = Counter(card.author for card in self.cards if card.author is not None)
        author = self._settings.data.author or who_signed_most(signatures.elements())
        if author is None:
            return
        own = {signature for signature in signatures if signed_by(signature, author)}
        if self._settings.data.author is None and 2 * sum(signatures[one] for one in own) <= signatures.total():
            return
        for card in self.cards:
            if card.author is not None and card.author not in own and card.dropped is None:
                card.dropped = ("another author", f"is signed by {card.author}, not by {author}; --author chooses")
            elif (remark := written_with(card.author, author)) is not None:
                card.remarks += (remark,)

    def _card(self, found: passes.Read, line: Line) -> Card:
        card = Card(found.id, found.path, line, found.day, 0, found.words_before)
        card.author = sys.intern(found.author) if found.author else None
        if not found.line:
            card.dropped = ("draft", "is a draft; `data.drafts: true` takes drafts in")
        for kind, pairs in found.originals.items():
            self.stand_ins.setdefault(kind, {}).update(pairs)
        if found.replaced:
            self.replaced.update(found.replaced)
            card.cuts = {"private data": found.words_replaced} if found.words_replaced else None
            told = (f"{many} × {_CALLED[kind]}" for kind, many in sorted(found.replaced.items()))
            card.remarks = (f"stand-ins were put in for {', '.join(told)}",)
        return card

    def measure(self) -> None:
        """How long each post is without what recurs; too short ones are dropped."""
        least = self._settings.data.min_words
        kept = self._kept()
        with (self._folder / "signatures").open("wb") as signatures:
            for card, one in zip(
                kept, self._each(partial(passes.measure, self._spooled), self._lines(kept)), strict=True
            ):
                card.words, card.text, card.code = one.words, one.text, one.code
                if one.cut:
                    card.cuts = {"boilerplate": words_of(one.cut), **(card.cuts or {})}
                    self.recurs.update({shown(passage) for passage in one.cut if not heading_of(passage)})
                beside = " beside what recurs in other posts" if one.cut else ""
                if one.empty:
                    card.dropped = ("empty", f"has no text of its own{beside}")
                elif one.prose < least:
                    reason = f"has {one.prose} words outside code{beside}; at least {least} are wanted"
                    card.dropped = ("too short", reason)
                else:
                    signatures.write(one.signature)

    def deduplicate(self) -> None:
        """Drop what says the same as another post, and know which of the others are alike."""
        threshold = self._settings.data.near_duplicate
        kept = self._kept()
        signatures = passes.unpacked(self._folder / "signatures")
        for copy in dedupe.exact_copies(kept):
            self._drop(kept, copy)
        order = [place for place in dedupe.by_rank(kept) if kept[place].dropped is None]
        ranked = [kept[place] for place in order]
        pairs = dedupe.likenesses(
            signatures[order], min(_ALIKE, threshold), lambda likely: self._compared(ranked, likely)
        )
        gone: dict[int, int] = {}
        for copy in dedupe.duplicates(ranked, pairs, threshold):
            gone[copy.place] = copy.of
            self._drop(ranked, copy)
        self._alike = list(_tied(ranked, pairs, gone))

    def _compared(self, cards: list[Card], pairs: Iterable[Pair]) -> Iterator[float]:
        lines = ((cards[one].line, cards[other].line) for one, other in pairs)
        return workers.ordered(partial(passes.compare, self._spooled), lines, self._workers, _crashed)

    def _drop(self, cards: list[Card], copy: Duplicate) -> None:
        other = cards[copy.of].path
        if copy.likeness == 1.0:
            cards[copy.place].dropped = ("exact duplicate", f"is the same text as {other}; {copy.why}")
        else:
            share = f"shares {copy.likeness:.0%} of its word sequences with {other}"
            cards[copy.place].dropped = ("near duplicate", f"{share}; {copy.why}")

    def make(self, wordings: Wordings) -> None:
        """Examples of every post that stays, to the folder."""
        training = self._settings.training
        room = Room(training.max_length, training.system_prompt)
        job = passes.Making(self._spooled, wordings, room, self._settings.data.seed)
        kept = self._kept()
        with (self._folder / "examples").open("wb") as file:
            spool = Spool(file)
            for card, made in zip(kept, self._each(partial(passes.make, job), self._lines(kept)), strict=True):
                if made.lines:
                    self._examples[card.id] = spool.add(made.lines), made.kinds
                else:
                    reason = "has no passage that fits the context and has enough words outside code"
                    card.dropped = ("no example", reason)
                if made.left_out and made.lines:
                    one = "a block of code, a table or a sentence was"
                    what = one if made.left_out == 1 else f"{made.left_out} blocks of code or tables were"
                    limit = f"longer than {training.max_length} tokens allow (training.max_length)"
                    card.remarks += (f"{what} left out: {limit}",)
                    self.remarks.append(Problem(card.path, card.remarks[-1], lost=False))

    def report(self, path: Path) -> None:
        """What became of every post."""
        with file_reports.open_report(path) as reports:
            for card in self.cards:
                verdict = "dropped" if card.dropped else "cut" if card.cuts else "kept"
                reports.add(
                    FileReport(
                        path=card.path,
                        verdict=verdict,
                        words_before=card.words_before,
                        words_after=0 if card.dropped else card.words,
                        cuts=card.cuts or {},
                        reasons=(*([card.dropped[1]] if card.dropped else []), *card.remarks),
                    )
                )

    def split(self) -> set[str]:
        """The ids of the posts that are held out. Raises NothingUsable when there are not two groups of posts."""
        usable = self.usable()
        place = {card.id: number for number, card in enumerate(usable)}
        pairs = ((place[one], place[other]) for one, other in self._alike if one in place and other in place)
        return held_out(usable, pairs, self._settings.data.split, self._settings.data.seed)

    def write(self, path: Path, cards: Sequence[Card]) -> Counter[str]:
        """The examples of these posts as one file; how many there are of each kind."""
        kinds: Counter[str] = Counter()
        with atomic.open_text(path) as file:
            for card in cards:
                kinds.update(dict(zip(passes.KINDS, self._examples[card.id][1], strict=True)))
            places = (self._examples[card.id][0] for card in cards)
            for lines in bytes_at(self._folder / "examples", places):
                file.write(lines.decode())
        return kinds

    def usable(self) -> list[Card]:
        """The posts with examples, in order."""
        return [card for card in self.cards if card.dropped is None and card.id in self._examples]

    def _kept(self) -> list[Card]:
        return [card for card in self.cards if card.dropped is None]

    def _lines(self, cards: Iterable[Card]) -> Iterator[Line]:
        return (card.line for card in cards)

    def _each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """One of the three passes, on all cores."""
        for result in workers.ordered(function, items, self._workers, _crashed):
            self._task.advance(1 / 3)
            yield result


def _tied(cards: list[Card], pairs: Likeness, gone: dict[int, int]) -> Iterator[tuple[str, str]]:
    """Ids of posts that are alike. What was like a copy that is gone is like the one that stands for it: that keeps the tie."""
    for one, other in pairs:
        yield cards[gone.get(one, one)].id, cards[gone.get(other, other)].id


def _crashed(item: object) -> NoReturn:
    raise InputError(
        f"a process ended while it worked on a post ({item})",
        "see whether memory is enough, or use fewer processes: machine.threads: 1 in pipeline_config.yaml",
    )
