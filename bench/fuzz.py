"""Looks for files that end the reader, hang it, or cost more than two seconds a megabyte. Coverage-guided, with atheris.

    uv run --with atheris python bench/fuzz.py [-max_total_time=600] [CORPUS_FOLDER]

The first byte of an input chooses the format; the rest is the file. Stops at the first fault and leaves the input beside it.
Formats are read and cleaned exactly as `blogtwin ingest` does; exports and zips too. Exit status 0: nothing was found.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["blogtwin", "docutils", "orgparse", "nbformat", "yaml", "feedparser"]):
    from blogtwin.config import load_settings
    from blogtwin.errors import BlogtwinError
    from blogtwin.sources.exports.choose import export_for
    from blogtwin.sources.folder import REGISTRY
    from blogtwin.stages.reading import Reader, document_of

ROOM = Path(tempfile.mkdtemp())
READER = Reader.of(load_settings(None, {"data": {"input_dir": ROOM}}))
ENDINGS = [*sorted(REGISTRY), "export"]
MOMENT = datetime(2020, 1, 1, tzinfo=UTC)
SECONDS_A_MEGABYTE = 2.0
SECONDS_AT_LEAST = 1.0  # for the first use of a parser, and for the instrumentation


def one_input(data: bytes) -> None:
    """Read one file; anything but a post or a reason is a fault."""
    if not data:
        return
    ending, content = ENDINGS[data[0] % len(ENDINGS)], data[1:]
    path = ROOM / f"input.{ending}"
    path.write_bytes(content)
    began = time.process_time()
    if ending == "export":
        _export(path)
    else:
        READER.post(path.name, partial(document_of, path), MOMENT)
    spent = time.process_time() - began
    if spent > SECONDS_AT_LEAST + SECONDS_A_MEGABYTE * len(content) / 2**20:
        raise TimeoutError(f"{spent:.1f} s for {len(content)} bytes of .{ending}")


def _export(path: Path) -> None:
    try:
        for name, read in export_for(path).read(path):
            READER.post(name, read, MOMENT)
    except BlogtwinError:
        pass


def main() -> None:
    """Warm every parser, then fuzz."""
    warnings.simplefilter("error")
    for number in range(len(ENDINGS)):
        one_input(bytes([number]) + b"# Title\n\nSome text.\n")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
