"""JSONL files of records: one UTF-8 JSON object a line, read as a stream, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from blogtwin import atomic
from blogtwin.errors import BrokenRecord, InputError

R = TypeVar("R", bound=BaseModel)


def lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Line numbers and objects of `path`; blank lines are passed over.

    Raises InputError when there is no such file, BrokenRecord for a line that is no JSON object.
    """
    for number, _, raw in _raw_lines(path):
        yield number, _object(path, number, raw)


def each(path: Path) -> Iterator[tuple[int, dict[str, object] | BrokenRecord]]:
    """As `lines`, but a line that is no JSON object is given as the error that it is, and the next one follows."""
    for number, _, raw in _raw_lines(path):
        try:
            yield number, _object(path, number, raw)
        except BrokenRecord as fault:
            yield number, fault


def read(path: Path, record: type[R]) -> Iterator[R]:
    """The records of `path`, in order. Raises as `lines` does, and BrokenRecord for fields that do not fit."""
    for number, _, raw in _raw_lines(path):
        yield parse(path, number, raw, record)


class Line(NamedTuple):
    """Where a line stands: its number from 1, its first byte, its length in bytes."""

    number: int
    start: int
    length: int


def places(path: Path) -> Iterator[Line]:
    """Where each line of `path` stands, for reading any of them later. Raises InputError when there is no such file."""
    for number, start, raw in _raw_lines(path):
        yield Line(number, start, len(raw))


def read_at(path: Path, line: Line, record: type[R]) -> R:
    """The record of one line. Raises BrokenRecord."""
    with path.open("rb") as file:
        file.seek(line.start)
        return parse(path, line.number, file.read(line.length), record)


def parse(path: Path, number: int, raw: bytes, record: type[R]) -> R:
    """The record of one line's bytes. Raises BrokenRecord."""
    try:
        return record.model_validate(_object(path, number, raw))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BrokenRecord(path, number, f"is no {record.__name__}: {field}: {first['msg']}", _MEND) from fault


def _raw_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    if not path.is_file():
        raise InputError(
            f"{path} is not there", "check the path, or run the stage that writes it: blogtwin pipeline --help"
        )
    start = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if raw.strip():
                yield number, start, raw
            start += len(raw)


def _object(path: Path, number: int, raw: bytes) -> dict[str, object]:
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise BrokenRecord(path, number, f"is not UTF-8: {fault.reason}", _MEND) from fault
    except json.JSONDecodeError as fault:
        raise BrokenRecord(path, number, f"is not JSON: {fault.msg} at column {fault.colno}", _MEND) from fault
    if not isinstance(value, dict):
        raise BrokenRecord(path, number, f"is a JSON {type(value).__name__}, not an object", _MEND)
    return value


def write(path: Path, records: Iterable[BaseModel]) -> int:
    """Replace `path` with one line a record; returns how many. Raises OutputError."""
    count = 0
    with atomic.open_text(path) as file:
        for record in records:
            file.write(record.model_dump_json() + "\n")
            count += 1
    return count


_MEND = "mend or remove that line, or make the file again with the command that wrote it"
