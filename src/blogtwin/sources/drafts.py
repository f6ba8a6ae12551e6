"""Is this a draft? In: what front matter says, or where the file stands. Out: yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from blogtwin.sources import metadata

_FOLDERS = {"_drafts", "drafts", "draft", "_draft", "unpublished", "_unpublished", "wip", "_wip"}
_YES, _NO = ("true", "yes", "on", "1", "y", "t"), ("false", "no", "off", "0", "n", "never")
_SET = ("draft", "isdraft", "drafts", "hidden", "unlisted", "private", "wip", "unpublished")  # draft: yes
_UNSET = ("published", "publish", "ispublished", "public", "dgpublish", "listed")  # published: no
_STATES = ("status", "poststatus", "state", "stage", "visibility", "poststage", "type")
_UNFINISHED = ("draft", "drafts", "private", "pending", "hidden", "unlisted", "unpublished", "wip", "in progress")


def is_draft(said: Mapping[str, object]) -> bool:
    """Whether the author says that this is not published. said: front matter by folded keys (metadata.folded)."""
    if any(_word(said, key) in _YES for key in _SET) or any(_word(said, key) in _NO for key in _UNSET):
        return True
    if any(_word(said, key) in _UNFINISHED for key in _STATES):
        return True
    return any(tag.lower() in ("draft", "drafts") for tag in metadata.tags(said))


def is_draft_path(relative: PurePath) -> bool:
    """Whether one of the folders of a path below the blog folder is one for drafts."""
    return any(part.lower() in _FOLDERS for part in relative.parts[:-1])


def _word(said: Mapping[str, object], key: str) -> str:
    value = said.get(key)
    return str(value).strip().lower() if isinstance(value, str | bool | int) else ""
