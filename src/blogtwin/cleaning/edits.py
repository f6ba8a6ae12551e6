"""What is taken out of a text or put in its place. In: places of a text. Out: the new text, and how much was cut by what name."""

from __future__ import annotations

_AFTER_NO_BLANK = frozenset(" .,;:!?)\n")


class Cuts:
    """What was taken out, by a short name of what it was; the words are counted once, at the end."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._left: dict[str, list[str]] = {}

    def add(self, name: str, piece: str, left: str = "") -> None:
        """`piece` went; what stands in its place has the words of `left`."""
        self._pieces.setdefault(name, []).append(piece)
        if left.strip():
            self._left.setdefault(name, []).append(left)

    def words(self) -> dict[str, int]:
        """Name → words; what had no words (a rule, a bare tag's brackets) is left out."""
        from blogtwin.words import count_words

        counted = {
            name: count_words(" ".join(pieces)) - count_words(" ".join(self._left.get(name, ())))
            for name, pieces in sorted(self._pieces.items())
        }
        return {name: words for name, words in counted.items() if words > 0}


class Edits:
    """Changes to one text, given in any order. Of two that overlap the outer one holds, of two equal ones the first.

    deep: whether something may have come to light that is machinery itself, so that the new text must be read again.
    """

    def __init__(self, text: str, cuts: Cuts) -> None:
        self.text = text
        self.deep = False
        self._cuts = cuts
        # start, -end (the outer first), its number, the new text, the name of the cut, whether it is kept as it is
        self._made: list[tuple[int, int, int, str, str, bool]] = []

    def cut(self, start: int, end: int, name: str) -> None:
        self._made.append((start, -end, len(self._made), "", name, False))

    def put(self, start: int, end: int, new: str, name: str = "") -> None:
        """`name` where words of the old text go that are not in the new one; those that it has are not counted."""
        self._made.append((start, -end, len(self._made), new, name, False))

    def keep(self, start: int, end: int) -> None:
        """Nothing in this place changes now or when the rest is tidied."""
        self._made.append((start, -end, len(self._made), self.text[start:end], "", True))

    def applied(self) -> list[tuple[str, bool]]:
        """The new text in pieces, each with whether it was kept; the cuts are counted."""
        pieces: list[tuple[str, bool]] = []
        out: list[str] = []
        done = 0
        opens, blank = True, False  # whether a line opens here; whether a blank goes with what was cut before it
        for start, end, _, new, name, kept in sorted(self._made):
            if start < done:
                continue
            before = self._blank(start, -end, new, name) and not (blank and self.text[done:start].isspace())
            between = self.text[done : start - before]
            out.append(between.lstrip(" ") if blank else between)
            opens = not between.rpartition("\n")[2].strip(" \t>") and (opens or "\n" in between)
            if name:
                self._cuts.add(name, self.text[start:-end], new)
            if kept:
                pieces += [("".join(out), False), (new, True)]
                out = []
            else:
                out.append(new)
            blank = opens and not new and start < -end and not before
            opens = opens and not new
            done = -end
        rest = self.text[done:]
        return [*pieces, ("".join([*out, rest.lstrip(" ") if blank else rest]), False)]

    def _blank(self, start: int, end: int, new: str, name: str) -> bool:
        """Whether the blank before a cut goes with it: what follows brings its own, or needs none."""
        text = self.text
        cut = bool(name) and not new and name != "addresses" and text[start - 1 : start] == " "
        return cut and start > 1 and not text[start - 2].isspace() and text[end : end + 1] in _AFTER_NO_BLANK

    def text_now(self) -> str:
        """The new text, whole."""
        return "".join(piece for piece, _ in self.applied())
