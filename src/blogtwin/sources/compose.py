"""A body and what front matter says of it → a Document; every format of text ends here.

In: Markdown (or plain text) without front matter, the front matter's values. Out: a Document, whose title and date may
come from the first lines of the text, which then no longer hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from blogtwin.records import DateSource, PostFormat
from blogtwin.sources import dates, drafts, encoding, language, metadata, titles
from blogtwin.sources.base import MAX_TEXT_BYTES, Document, file_bytes, unreadable, without_controls

TitleFinder = Callable[[str, str | None], tuple[str | None, str]]


def text_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file without control characters, and what had to be guessed. Raises UnreadableFile."""
    try:
        text, guessed = encoding.decode(file_bytes(path, MAX_TEXT_BYTES))
    except encoding.NotText as fault:
        raise unreadable(path, str(fault)) from fault
    return without_controls(text), (guessed,) if guessed else ()


def composed(
    kind: PostFormat,
    body: str,
    values: Mapping[str, object],
    remarks: tuple[str, ...] = (),
    find_title: TitleFinder = titles.from_heading,
) -> Document:
    """The Document of one post. `find_title` takes the body and the title that is known, and gives both back."""
    said = metadata.folded(values)
    named = metadata.words(said, *metadata.TITLE)
    title, body = find_title(body, titles.plain(named) if named else None)
    moment, strange = dates.from_front_matter(said)
    origin: DateSource | None = "front matter" if moment else None
    above: datetime | None = None
    if moment is None:
        above, body = dates.from_first_lines(body)
        moment, origin = (above, "heading") if above else (None, None)
    tongue = metadata.words(said, *metadata.LANGUAGE)
    return Document(
        text=body.strip("\n").rstrip(),
        format=kind,
        title=title or None,
        created_at=moment,
        created_from=origin,
        language=language.code(tongue) if tongue else None,
        author=metadata.author(said),
        tags=metadata.tags(said),
        draft=drafts.is_draft(said),
        remarks=(*remarks, strange) if strange else remarks,
    )
