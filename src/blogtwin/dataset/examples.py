"""A post → training examples. In: a cleaned Post, the wordings, the room there is. Out: Examples, in a fixed order.

What an example teaches is what its answer is, so every answer is the author's own words, whole: a post that fits the context is
learned from its title, from its outline, from its beginning, and section by section. A longer one is learned as its beginning
(and the question says "the beginning": otherwise the twin would learn that posts stop in the middle), and then piece by
piece, each from the end of the one before, up to the real end, which is the only place where "finish it" is asked.

A long quotation is somebody else's writing: the question holds it, and the answer only its first words (see quoting.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blogtwin.dataset import footnotes, quoting
from blogtwin.dataset.footnotes import Footnotes
from blogtwin.dataset.prompts import Task, Wordings
from blogtwin.dataset.prose import has_prose
from blogtwin.dataset.sections import Piece, blocks, estimated_tokens, heading_of, pieces, sections, sentences
from blogtwin.records import Example, ExampleKind, Post, content_id
from blogtwin.words import count_words

_KIND: dict[Task, ExampleKind] = {
    "topic": "topic",
    "outline": "outline",
    "opening": "topic",
    "outline_opening": "outline",
    "continuation": "continuation",
    "ending": "continuation",
    "section": "section",
}
_TEMPLATE_TOKENS = 32  # the markers of the chat template, and a margin for them
_MIN_WORDS = 25  # of prose in an answer: fewer teach length, not voice
# Each section repeats words that "topic" and "outline" hold already; a post with twenty headings must not outweigh the others.
_MAX_SECTIONS = 3
_MIN_HEADINGS = 3  # an outline of two lines says no more than the title


@dataclass(frozen=True)
class Room:
    """How many estimated tokens an example may have."""

    max_length: int
    system_prompt: str

    @property
    def whole(self) -> int:
        """For question and answer together."""
        return max(self.max_length - _TEMPLATE_TOKENS - estimated_tokens(self.system_prompt), self.max_length // 2)

    @property
    def context(self) -> int:
        """For the end of the piece before: two or three paragraphs, enough to go on from."""
        return min(200, self.whole // 5)

    def fits(self, *texts: str) -> bool:
        return sum(estimated_tokens(text) for text in texts) <= self.whole


def examples(post: Post, wordings: Wordings, room: Room, seed: int) -> tuple[list[Example], int]:
    """The examples of one post (none when nothing in it can be used), and how many of its blocks fit no example."""
    make = _Maker(post, wordings, seed)
    body, notes = footnotes.taken_from(post.text)
    whole = make("topic", post.text)
    if room.fits(whole.instruction, whole.input, whole.output):
        found = [whole, *_outline(body, make, room, "outline", post.text), *_rest(body, notes, make, room)]
        left_out = 0
    else:
        question = estimated_tokens(make("ending", "").instruction) + 16  # other wordings may be longer
        budget = max(room.whole - question - room.context, room.whole // 2)
        parts, left_out = pieces(quoting.none_longer_than(budget // 3, body), budget)
        found = list(_pieces(parts, notes, make, room))
        if parts and parts[0].opens:
            found[1:1] = _outline(body, make, room, "outline_opening", notes.under(parts[0].text))
    found += _sections(body, notes, make, room, seed)
    return [example for example in found if has_prose(example.output, _MIN_WORDS)], left_out


class _Maker:
    """Makes examples of one post; the choice of wording depends on the post and the seed, not on the order of posts."""

    def __init__(self, post: Post, wordings: Wordings, seed: int) -> None:
        self._post, self._wordings, self._seed = post, wordings, seed
        self.post_id = post.id

    def __call__(self, task: Task, output: str, given: str = "", heading: str = "") -> Example:
        chosen_by = f"{self._seed} {self._post.id} {heading} {content_id(given)}"
        if _KIND[task] == "continuation":
            given, output = quoting.begun(given, output)
        output, quoted = quoting.shortened(output)
        if quoted:
            label = self._wordings.instruction("quoting", chosen_by)
            given = "\n\n".join(filter(None, (given, label, *quoted)))
        instruction = self._wordings.instruction(
            task, chosen_by, title=self._post.title, heading=heading, words=lambda: _rounded(count_words(output))
        )
        return Example(
            id=content_id("example", self._post.id, task, instruction, given, output),
            post_id=self._post.id,
            kind=_KIND[task],
            instruction=instruction,
            input=given,
            output=output,
        )


def _outline(body: Sequence[str], make: _Maker, room: Room, task: Task, answer: str) -> Iterator[Example]:
    headings = [found for block in body if (found := heading_of(block))]
    if len(headings) < _MIN_HEADINGS:
        return
    top = min(level for level, _ in headings)
    example = make(task, answer, "\n".join(f"{'  ' * (level - top)}- {words}" for level, words in headings))
    if room.fits(example.instruction, example.input, example.output):
        yield example


def _rest(body: Sequence[str], notes: Footnotes, make: _Maker, room: Room) -> Iterator[Example]:
    """The post from its beginning: about a third is given, cut where a piece would be cut."""
    text = "\n\n".join(body)
    parts, _ = pieces(body, max(estimated_tokens(text) // 3, 48))
    if len(parts) < 2 or not parts[0].opens or not text.startswith(parts[0].text):
        return
    given = parts[0].text
    example = make("ending", notes.under(text[len(given) :].strip("\n")), notes.under(given))
    if room.fits(example.instruction, example.input, example.output):
        yield example


def _pieces(parts: list[Piece], notes: Footnotes, make: _Maker, room: Room) -> Iterator[Example]:
    for part in parts:
        text = notes.under(part.text)
        if part.opens:
            yield make("opening" if not part.ends else "topic", text)
        elif part.before is not None:
            for context in (room.context, room.context // 4):  # less where notes or quotations take the room
                before = notes.left_out_of(_tail(part.before, context))
                example = make("ending" if part.ends else "continuation", text, before)
                if room.fits(example.instruction, example.input, example.output):
                    break
            yield example


def _tail(text: str, limit: int) -> str:
    """The last paragraphs of `text` within `limit` tokens; of one that is too long, its last sentences."""
    parts = blocks(text)
    tail = parts[-1]
    for part in reversed(parts[:-1]):
        if estimated_tokens(part + tail) > limit:
            break
        tail = f"{part}\n\n{tail}"
    if estimated_tokens(tail) <= limit:
        return tail
    end = ""
    for sentence in reversed(sentences(tail)):
        if end and estimated_tokens(sentence + end) > limit:
            break
        end = sentence + end
    return end.strip()


def _sections(body: Sequence[str], notes: Footnotes, make: _Maker, room: Room, seed: int) -> Iterator[Example]:
    """A few of the sections that can be used, chosen by the seed, in their order."""
    by_chance = sorted(
        (content_id(str(seed), make.post_id, section.heading, str(place)), place, section)
        for place, section in enumerate(sections(body))
        if section.text
    )
    chosen: dict[int, Example] = {}
    for _, place, section in by_chance:
        text = notes.under(section.text)
        if not has_prose(text, _MIN_WORDS):
            continue
        example = make("section", text, heading=notes.left_out_of(section.heading))
        if room.fits(example.instruction, example.input, example.output) and has_prose(example.output, _MIN_WORDS):
            chosen[place] = example
        if len(chosen) == _MAX_SECTIONS:
            break
    yield from (chosen[place] for place in sorted(chosen))


def _rounded(words: int) -> int:
    """As a person would say it: 430 → 450, 70 → 70."""
    step = 50 if words >= 200 else 10
    return max(step, round(words / step) * step)
