"""The report on every file, as it is written beside a stage's output: valid JSON, one file a line, read and written as a stream.

{"files": [
{"path": "a.md", "verdict": "kept", …},
{"path": "b.md", "verdict": "dropped", …}
]}
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from blogtwin import atomic
from blogtwin.errors import BrokenRecord
from blogtwin.records import FileReport

_HEAD, _TAIL = '{"files": [', "]}"


class Reports:
    """A report that is being written."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._between = "\n"

    def add(self, report: FileReport) -> None:
        """One more file."""
        self._file.write(self._between + report.model_dump_json())
        self._between = ",\n"


@contextmanager
def open_report(path: Path) -> Iterator[Reports]:
    """A report that takes `path`'s place when the block ends well. Raises OutputError."""
    with atomic.open_text(path) as file:
        file.write(_HEAD)
        yield Reports(file)
        file.write(f"\n{_TAIL}\n")


def read(path: Path) -> Iterator[FileReport]:
    """The files of a report, in its order. Raises BrokenRecord for what `open_report` did not write."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1 or line.startswith(_TAIL):
                continue
            try:
                yield FileReport.model_validate_json(line.rstrip("\n").removesuffix(","))
            except ValidationError as fault:
                raise BrokenRecord(
                    path, number, "is no line of a report", "make it again with the same command"
                ) from fault
