"""A place on disk for what would not fit in memory, and which nobody is to find afterwards.

In: lines of bytes. Out: where each stands. The folder lies beside the outputs, is readable by its owner alone, and is gone when
the block ends, well or not; what a killed run left is removed by the next.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from blogtwin import atomic
from blogtwin.jsonl import Line


@contextmanager
def folder_beside(output: Path) -> Iterator[Path]:
    """An empty hidden folder. Raises OutputError."""
    folder = output.with_name(f".{output.name}.spool")
    with atomic.writing_to(folder):
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Spool:
    """A file of lines that is being written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._number = 0
        self._end = 0

    def add(self, line: bytes) -> Line:
        """One more line (or several, as one); where it stands."""
        place = Line(self._number + 1, self._end, len(line))
        self._file.write(line)
        self._number += 1
        self._end += len(line)
        return place


def bytes_at(path: Path, places: Iterable[Line]) -> Iterator[bytes]:
    """What was added at these places, in their order."""
    with path.open("rb") as file:
        for place in places:
            file.seek(place.start)
            yield file.read(place.length)
