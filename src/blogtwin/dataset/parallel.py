"""Pairs of texts, one made from the other → what a twin that rewrites is trained on.

In: a TSV file (with or without a header, quoted or not) or a JSONL file of {source, target} or {source, chosen, rejected}. Out:
SourcePairs, and of every line that cannot be used its number and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blogtwin import jsonl
from blogtwin.dataset.judgements import LONGEST
from blogtwin.errors import BrokenRecord, InputError

_SOURCES = frozenset(
    ["source", "src", "input", "original", "plain", "toxic", "toxic_comment", "en_toxic_comment", "notes", "text"]
)
_TARGETS = frozenset(
    ["target", "tgt", "output", "rewritten", "rewrite", "neutral", "neutral_comment", "en_neutral_comment", "post"]
)
_SPAN = 500  # lines that a quoted field may have
_MEND = (
    'a line is a source, a tab and a target; or {"source": …, "target": …}, or {"source", "chosen", "rejected": […]}'
)


@dataclass(frozen=True)
class SourcePair:
    """target: None for a source that should be left as it is. rejected: worse rewritings, beside the target."""

    line: int
    source: str
    target: str | None
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be used, or a part of it that cannot."""

    line: int
    reason: str


def read(path: Path, alone: bool = False) -> Iterator[SourcePair | BadLine]:
    """Every line of the file but a header and blank ones. alone: targets are not needed, and passed over where there are any.

    Raises InputError when there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path} is not there", f"check the path behind {'--cannot-rewrite' if alone else '--pairs'}")
    for one in _jsonl(path, alone) if _is_jsonl(path) else _table(path, 1 if alone else 2):
        yield one if isinstance(one, BadLine) else _checked(SourcePair(one.line, one.source, None) if alone else one)


def _is_jsonl(path: Path) -> bool:
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return True
    if path.suffix.lower() in {".tsv", ".tab"}:
        return False
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"{")


def _jsonl(path: Path, alone: bool) -> Iterator[SourcePair | BadLine]:
    for number, value in jsonl.each(path):
        if isinstance(value, BrokenRecord):
            yield BadLine(number, value.message.partition(": ")[2])
        else:
            yield _object(number, value, alone)


def _object(number: int, value: dict[str, object], alone: bool) -> SourcePair | BadLine:
    source, target = value.get("source"), value.get("chosen", value.get("target"))
    rejected = value.get("rejected", ())
    worse = [rejected] if isinstance(rejected, str) else rejected
    if not isinstance(source, str):
        return BadLine(number, f"source is {json.dumps(source)[:40]}, not a text; {_MEND}")
    if not alone and "target" not in value and "chosen" not in value:
        return BadLine(number, f"has no target; {_MEND}")
    if not (target is None or isinstance(target, str)):
        return BadLine(number, f"target is {json.dumps(target)[:40]}, not a text or null")
    if not isinstance(worse, list | tuple) or not all(isinstance(one, str) for one in worse):
        return BadLine(number, "rejected is no text and no list of texts")
    return SourcePair(number, source, target, tuple(worse))


def _checked(pair: SourcePair) -> SourcePair | BadLine:
    """The pair without white space around its texts; a target that is empty stands for none."""
    source, target = pair.source.strip(), (pair.target or "").strip() or None
    if not source:
        return BadLine(pair.line, "the source is empty")
    for what, text in (("source", source), ("target", target or ""), *(("rejected", one) for one in pair.rejected)):
        if len(text) > LONGEST:
            return BadLine(pair.line, f"the {what} has {len(text):,} characters; at most {LONGEST:,} are learned from")
    return SourcePair(pair.line, source, target, tuple(one.strip() for one in pair.rejected))


def _table(path: Path, least: int) -> Iterator[SourcePair | BadLine]:
    columns: tuple[int, int] | None = None
    for place, (number, fields) in enumerate(_rows(path, least)):
        if isinstance(fields, BadLine):
            yield fields
            continue
        if place == 0 and (columns := _header(fields, least)):
            continue
        at, to = columns or (0, 1)
        if columns is None and len(fields) > 2:
            reason = f"has {len(fields)} columns; quote a text that holds a tab, or name the columns in a first line"
            yield BadLine(number, f"{reason}: source, target")
        elif len(fields) <= at or (least == 2 and len(fields) <= to):
            yield BadLine(number, f"has {len(fields)} column{'s' * (len(fields) != 1)}; {_MEND}")
        else:
            target = fields[to] if len(fields) > to else None
            yield SourcePair(number, fields[at], None if target in ("NULL", "\\N") else target)


def _header(fields: Sequence[str], least: int) -> tuple[int, int] | None:
    """The columns of source and target, when a first line names them."""
    names = [field.strip().casefold() for field in fields]
    source = next((place for place, name in enumerate(names) if name in _SOURCES), None)
    target = next((place for place, name in enumerate(names) if name in _TARGETS and place != source), None)
    if source is None or (target is None and (least == 2 or len(names) > 1)):
        return None
    return source, len(names) if target is None else target


def _rows(path: Path, least: int) -> Iterator[tuple[int, list[str] | BadLine]]:
    """Line numbers and fields. A quoted field may hold tabs, doubled quotes and line ends; a lone quote is a quote."""
    lines = list(_lines(path))
    place = 0
    while place < len(lines):
        number, line = lines[place]
        taken = 1
        if isinstance(line, BadLine):
            yield number, line
        elif line.strip():
            fields, taken = _row(lines[place : place + _SPAN], least)
            yield number, fields
        place += taken


def _row(lines: Sequence[tuple[int, str | BadLine]], least: int) -> tuple[list[str], int]:
    """The fields of the first of these lines, with those that its quoted fields go on in; how many lines that are."""
    first = str(lines[0][1])
    fields, closed = _fields(first)
    text = [first]
    for _, line in lines[1:]:
        if closed or isinstance(line, BadLine):
            break
        text.append(line)
        if '"' in line:
            fields, closed = _fields("\n".join(text))
    if closed and (len(text) == 1 or len(fields) >= least):
        return fields, len(text)
    return first.split("\t"), 1


def _fields(text: str) -> tuple[list[str], bool]:
    """The fields, and whether the last quoted one is closed; a field whose quotes are none is taken as it stands."""
    fields: list[str] = []
    place = 0
    while True:
        end = _quoted_end(text, place) if text.startswith('"', place) else -1
        if end == len(text) + 1:
            return fields, False
        if end > 0:
            fields.append(text[place + 1 : end - 1].replace('""', '"'))
        else:
            tab = text.find("\t", place)
            end = len(text) if tab < 0 else tab
            if "\n" in text[place:end]:  # it began with a quote that was none, so the lines do not belong together
                return [], True
            fields.append(text[place:end])
        if end >= len(text):
            return fields, True
        place = end + 1


def _quoted_end(text: str, start: int) -> int:
    """Behind the closing quote; -1 where a quote inside shows that this is none; len(text) + 1 where none closes."""
    place = start + 1
    while (place := text.find('"', place)) >= 0:
        if text.startswith('""', place):
            place += 2
        elif place + 1 == len(text) or text[place + 1] == "\t":
            return place + 1
        else:
            return -1
    return len(text) + 1


def _lines(path: Path) -> Iterator[tuple[int, str | BadLine]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as fault:
                yield number, BadLine(number, f"is not UTF-8: {fault.reason}")
