"""What stands for a private thing in everything that is learned from, and the file that says which stands for which.

In: originals. Out: stand-ins that read naturally and belong to nobody, and data/private/stand_ins.json, which no model ever sees.

A stand-in follows from its original alone, so it is the same in every post, on every run and on every machine, whatever order
posts come in. It is one of a few thousand at most: it can neither be turned back nor used to confirm a guess.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from blogtwin import atomic
from blogtwin.config import Private
from blogtwin.errors import InputError

StandIns = Mapping[Private, Mapping[str, str]]  # kind → original → stand-in

_FIRST_NAMES = (
    "Alex Avery Bailey Blair Cameron Casey Charlie Dakota Dana Devon Drew Eden Elliot Emery Finley Frankie Harley Harper Hayden "
    "Jamie Jesse Jordan Jules Kai Kendall Kerry Lee Logan Marley Mika Morgan Nico Noel Parker Pat Peyton Quinn Reese Remy Riley "
    "Robin Rowan Rory Sam Sasha Shay Skyler Sidney Taylor Toby"
)
_LAST_NAMES = (
    "Abbott Ames Archer Barlow Bishop Brandt Calloway Carver Chandler Crane Dalton Darrow Ellery Fairley Fenwick Garland Hale "
    "Harlow Hartley Holloway Ingram Jarvis Keaton Kirby Lambert Langley Lowell Marlow Mercer Merrick Nolan Oakley Paxton Porter "
    "Prescott Quill Ramsey Redfern Sawyer Sheldon Sloan Sterling Thatcher Tilden Vance Wakefield Walden Webb Winslow Yardley"
)
_FIRST, _LAST = _FIRST_NAMES.split(), _LAST_NAMES.split()
_AREAS = ("202", "303", "404", "415", "503", "617", "702", "808")
_STREETS = ("Maple", "Cedar", "Elm", "Birch", "Willow", "Juniper", "Laurel", "Hazel")
_AT_OR_DOT = re.compile(r"[ \t]?[\[({<]?[ \t]?\b(at|dot)\b[ \t]?[\])}>]?[ \t]?")


def stand_in(kind: Private, original: str) -> str:
    """What is written instead of `original`."""
    number = int.from_bytes(hashlib.sha256(f"{kind}\0{canonical(kind, original)}".encode()).digest()[:8])
    if kind == "key":
        return shape(original)
    if kind == "email":
        return f"{_pick(_FIRST, number)}.{_pick(_LAST, number // 64)}@example.com".lower()
    if kind == "phone":  # reserved for stories in North America's numbering plan
        return f"+1 {_pick(_AREAS, number)}-555-01{number // 64 % 100:02}"
    if kind == "address":
        return f"{number // 64 % 90 + 10} {_pick(_STREETS, number)} Street, Springfield"
    return _name(original, number)


def canonical(kind: Private, original: str) -> str:
    """The spelling by which two mentions of one thing are known to be the same."""
    if kind == "email":
        spelt = _AT_OR_DOT.sub(lambda word: "@" if word.group(1) == "at" else ".", original.lower())
        return re.sub(r"[\[({<\])}>\s]", "", spelt)
    if kind == "phone":
        return re.sub(r"\D", "", original)[-9:]  # with or without the country's prefix
    return original if kind == "key" else " ".join(original.casefold().split())


def shape(key: str) -> str:
    """A key as a manual would print it: `A1b2-c` → `X0x0-x`."""
    return re.sub(r"[a-z]", "x", re.sub(r"[A-Z]", "X", re.sub(r"\d", "0", key)))


def _name(original: str, number: int) -> str:
    """As many names as the original has, up to two; in capitals or small letters where it is."""
    first, last = _pick(_FIRST, number), _pick(_LAST, number // 64)
    name = f"{first} {last}" if " " in original.strip() else first
    return name.upper() if original.isupper() and len(original) > 1 else name.lower() if original.islower() else name


def _pick(names: Sequence[str], number: int) -> str:
    return names[number % len(names)]


def file_beside(training_data: Path) -> Path:
    """Where the map stands: in a folder of its own that only its owner may read and git passes over."""
    return training_data.parent / "private" / "stand_ins.json"


def write(path: Path, stand_ins: StandIns) -> None:
    """Replace the map, readable by its owner alone. Raises OutputError."""
    with atomic.writing_to(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
    atomic.write_text(path.parent / ".gitignore", "*\n")
    told = {kind: dict(sorted(originals.items())) for kind, originals in sorted(stand_ins.items())}
    atomic.write_text(path, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    path.chmod(0o600)


def read(path: Path) -> StandIns:
    """The map, empty where there is none. Raises InputError for a file that holds none."""
    if not path.is_file():
        return {}
    try:
        found: StandIns = json.loads(path.read_text(encoding="utf-8"))
        return {kind: {str(one): str(other) for one, other in pairs.items()} for kind, pairs in found.items()}
    except (ValueError, AttributeError) as fault:
        reason = f"{path} is not the map that prepare-dataset writes"
        raise InputError(reason, "make it again: blogtwin prepare-dataset") from fault
