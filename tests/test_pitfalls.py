"""One small file a pitfall: pitfalls/NAME.ending is what an author wrote, pitfalls/NAME.expected.md what a twin may learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from blogtwin.cleaning.clean import clean
from blogtwin.sources.folder import REGISTRY

EXPECTED = sorted((Path(__file__).parent / "pitfalls").glob("*.expected.md"))


def written(expected: Path) -> Path:
    """The file beside `expected` that has its name and any other ending."""
    stem = expected.name.removesuffix(".expected.md")
    beside = [path for path in expected.parent.glob(f"{stem}.*") if path != expected]
    found = [path for path in beside if path.name.startswith(f"{stem}.") and "." not in path.name[len(stem) + 1 :]]
    assert len(found) == 1, f"{expected.name} needs one file to be made from, not {[path.name for path in found]}"
    return found[0]


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.md"))
def test_a_pitfall_leaves_what_its_author_wrote(expected: Path) -> None:
    path = written(expected)
    document = REGISTRY[path.suffix.lstrip(".")].read(path)
    cleaned = clean(document.text, document.format).text
    assert cleaned == expected.read_text("utf-8").rstrip("\n")
    assert clean(cleaned, document.format).text == cleaned, "cleaning twice changes it again"


def test_every_file_has_what_is_expected_of_it() -> None:
    taken = {written(expected) for expected in EXPECTED} | set(EXPECTED)
    assert not [path.name for path in (Path(__file__).parent / "pitfalls").iterdir() if path not in taken]


def test_there_are_sixty_pitfalls_and_more() -> None:
    assert len(EXPECTED) >= 60
