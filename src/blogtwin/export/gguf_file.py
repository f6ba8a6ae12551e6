"""One GGUF file being written: it appears whole or not at all, also on a full disk.

In: where it is to stand, and the architecture's name in llama.cpp. Out: a writer of the gguf package for the block to fill.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blogtwin import atomic


@contextlib.contextmanager
def writing(into: Path, architecture: str) -> Iterator[Any]:
    """The file gets its name when the block ends well, and leaves nothing behind otherwise. Raises OutputError."""
    import gguf

    logging.getLogger("gguf").setLevel(logging.WARNING)
    partial = into.with_name(f".{into.name}.partial")
    with atomic.writing_to(into):
        into.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(partial, architecture)
        try:
            yield writer
            writer.close()
            partial.replace(into)
        finally:
            with contextlib.suppress(OSError):  # on a full disk the last bytes cannot be written here either
                writer.close()
            partial.unlink(missing_ok=True)
