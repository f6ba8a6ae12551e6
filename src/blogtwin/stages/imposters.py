"""Other writers' posts, for the authorship test. In: a folder with a subfolder a writer. Out: writer → posts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blogtwin.config import Settings
from blogtwin.errors import InputError
from blogtwin.progress import Progress
from blogtwin.sources.walk import walk
from blogtwin.stages.reading import Reader
from blogtwin.words import count_words

_POSTS = 40  # a writer; more change little and cost time
_WORDS = 100  # of a post, at least


def others(folder: Path, settings: Settings, progress: Progress) -> dict[str, list[str]]:
    """Up to _POSTS posts of each writer, evenly from first to last, cleaned as the author's were; drafts as for them.

    Raises InputError when the folder is not there, or holds no post of anybody.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not there, or no folder", "check evaluation.others")
    writers = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    found: dict[str, list[str]] = {}
    with progress.task("Reading other writers", len(writers), "writers") as task:
        for writer in writers:
            posts = _posts(writer, settings)
            if posts:
                found[writer.name] = posts
            task.advance()
    if not found:
        raise InputError(
            f"no subfolder of {folder} holds a post of {_WORDS} words",
            "put each writer's posts into a subfolder of its own, or leave evaluation.others empty",
        )
    return found


def _posts(writer: Path, settings: Settings) -> list[str]:
    data = replace(settings.data, input_dir=writer, author=None, language=None)
    reader = Reader.of(replace(settings, data=data))
    files = [one for one in walk(writer, data.formats) if one.reason is None]
    every = max(1, len(files) // _POSTS)
    posts = (reader.file(one).post for one in files[::every])
    wanted = (post for post in posts if post and (data.drafts or not post.draft))
    return [post.text for post in wanted if count_words(post.text) >= _WORDS][:_POSTS]
