"""A post without what is private in it. In: texts and what to look for. Out: texts with stand-ins, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blogtwin.config import Private
from blogtwin.privacy.find import find
from blogtwin.privacy.stand_ins import canonical, stand_in


@dataclass(frozen=True)
class Replacement:
    """One original that was found, and what is written instead."""

    kind: Private
    original: str
    stand_in: str


@dataclass(frozen=True)
class Privacy:
    """What is looked for. names: of people and things, as the author's settings give them."""

    kinds: tuple[Private, ...]
    names: tuple[str, ...]

    def replaced(self, text: str, language: str | None) -> tuple[str, list[Replacement]]:
        """`text` with stand-ins, and one Replacement for each place."""
        found = find(text, self.kinds, self.names, language)
        if not found:
            return text, []
        out: list[str] = []
        made: list[Replacement] = []
        end = 0
        for one in found:
            original = text[one.start : one.end]
            instead = self._name(original) if one.kind == "name" else stand_in(one.kind, original)
            made.append(Replacement(one.kind, original, instead))
            out += (text[end : one.start], instead)
            end = one.end
        return "".join((*out, text[end:])), made

    def _name(self, original: str) -> str:
        """ "Anna" is the first half of "Anna Schmidt" where both are to be replaced; other names stand alone."""
        wanted = canonical("name", original)
        for whole in _longer(self.names):
            parts = canonical("name", whole).split()
            if wanted in (parts[0], parts[-1]) and wanted != canonical("name", whole):
                halves = stand_in("name", " ".join(part.capitalize() for part in parts)).split()
                half = halves[0] if wanted == parts[0] else halves[-1]
                return half.upper() if original.isupper() else half.lower() if original.islower() else half
        return stand_in("name", original)


def _longer(names: Sequence[str]) -> list[str]:
    return sorted(name for name in names if " " in name.strip())
