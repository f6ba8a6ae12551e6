"""The files that a user may edit, as they are before anyone has: `blogtwin init` writes them into the user's folder.

Where a user has no prompts/ of their own, the stages read the ones here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


def files() -> Iterator[tuple[Path, str]]:
    """The path, relative to the user's folder, and the text of each file."""
    from blogtwin.config import CONFIG_FILE
    from blogtwin.config_file import commented_yaml

    yield CONFIG_FILE, commented_yaml()
    for name in ("instructions.yaml", "test_prompts.txt"):
        yield Path("prompts") / name, (HERE / name).read_text(encoding="utf-8")
