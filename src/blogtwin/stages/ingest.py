"""Ingest: a folder of posts → one Post a line. In: data.input_dir. Out: raw_blogs.jsonl, then its manifest.

A file that cannot be read is listed with its reason and does not stop the others, unless data.strict is set.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from blogtwin import jsonl
from blogtwin.config import Settings
from blogtwin.errors import InputError, NothingUsable, UnreadableFile
from blogtwin.manifest import Plan
from blogtwin.progress import Progress
from blogtwin.records import Post, content_id
from blogtwin.sources import dates, titles
from blogtwin.sources.base import Document
from blogtwin.sources.folder import REGISTRY, Listing, listing
from blogtwin.stages.result import Problem, StageResult
from blogtwin.words import count_words
from blogtwin.workspace import Workspace, manifest_beside

_DRAFT_FOLDERS = {"_drafts", "drafts"}


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What an ingest would read and write."""
    return Plan(
        stage="ingest",
        settings={"formats": sorted(settings.data.formats), "strict": settings.data.strict},
        inputs=(settings.data.input_dir,),
        outputs=(workspace.posts,),
        manifest=manifest_beside(workspace.posts),
    )


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Read every post below data.input_dir, in the order of paths.

    Raises InputError for a folder that is not there or stays shut, NothingUsable for one without a readable post, and
    UnreadableFile for the first bad file when data.strict is set.
    """
    plan_ = plan(settings, workspace)
    folder = settings.data.input_dir
    found = _found(folder, settings)
    posts: list[Post] = []
    problems = [Problem(_name(path, folder), reason) for path, reason in found.refused]
    with progress.task("Reading posts", len(found.posts), "files") as task:
        for path in found.posts:
            name = _name(path, folder)
            try:
                post, remarks = _post(path, folder, name)
            except UnreadableFile as refusal:
                if settings.data.strict:
                    raise
                problems.append(Problem(name, str(refusal.args[-1])))
            else:
                posts.append(post)
                problems += [Problem(name, remark, lost=False) for remark in remarks]
            task.advance()
    if not posts:
        reasons = "; ".join(f"{problem.path} {problem.reason}" for problem in problems[:3])
        raise NothingUsable(
            f"none of the {len(found.posts)} posts in {folder} can be read: {reasons}", "mend those files first"
        )
    jsonl.write(workspace.posts, posts)
    counts: dict[str, float] = {
        "posts": len(posts),
        "words": sum(post.word_count for post in posts),
        "drafts": sum(post.draft for post in posts),
        "unreadable files": sum(problem.lost for problem in problems),
        "skipped files": found.skipped,
    }
    plan_.finish(counts)
    return StageResult("ingest", counts, (workspace.posts,), tuple(_notes(posts, found)), tuple(problems))


def _found(folder: Path, settings: Settings) -> Listing:
    if not folder.exists():
        raise InputError(
            f"the blog folder {folder} is not there", "name the folder with your posts: --input-dir ./my-blog"
        )
    if not folder.is_dir():
        raise InputError(
            f"{folder} is a file, not a folder", f"name the folder it stands in: --input-dir {folder.parent}"
        )
    found = listing(folder, set(settings.data.formats))
    for path, reason in found.refused:
        if settings.data.strict or path == folder:
            raise InputError(f"the folder {path} {reason}", f"give yourself the right to read it: chmod u+rx '{path}'")
    if not found.posts:
        endings = ", ".join(f".{ending}" for ending in settings.data.formats)
        raise NothingUsable(
            f"no posts in {folder}: looked for {endings} in it and its subfolders, and saw {_seen(found)}",
            "name the folder with your posts: --input-dir ./my-blog",
        )
    return found


def _seen(found: Listing) -> str:
    if not found.skipped:
        return "no files at all"
    kinds = ", ".join(f"{count} {ending}" for ending, count in found.other.most_common(5))
    return f"{found.skipped} other file{'s' * (found.skipped != 1)}" + (f" ({kinds})" if kinds else "")


def _post(path: Path, folder: Path, name: str) -> tuple[Post, tuple[str, ...]]:
    document = REGISTRY[path.suffix.lower().lstrip(".")].read(path)
    relative = path.relative_to(folder)
    title = document.title or titles.from_path(folder.absolute().joinpath(relative))
    created_at, created_from = document.created_at, document.created_from
    if created_from != "front matter" and (moment := dates.from_path(relative)):
        created_at, created_from = moment, "file name"
    if created_at is None:
        created_at, created_from = datetime.fromtimestamp(int(path.stat().st_mtime), UTC), "file system"
    post = Post(
        # Not from the date: a file system's date changes with every copy of the folder.
        id=content_id("post", name, title, document.text),
        path=name,
        title=title,
        text=document.text,
        format=document.format,
        word_count=count_words(document.text),
        created_at=created_at,
        created_from=created_from,
        language=document.language,
        author=document.author,
        tags=document.tags,
        draft=document.draft or bool(_DRAFT_FOLDERS & {part.lower() for part in relative.parts[:-1]}),
    )
    return post, (*document.remarks, *_empty(document))


def _empty(document: Document) -> tuple[str, ...]:
    return () if document.text else ("has no text",)


def _notes(posts: list[Post], found: Listing) -> list[str]:
    notes = []
    if undated := sum(post.created_from == "file system" for post in posts):
        notes.append(
            f"{undated} of {len(posts)} posts say nowhere when they were written; the file's own date stands in"
        )
    if found.other:
        others = ", ".join(
            f"{count} {ending}" for ending, count in sorted(found.other.items(), key=lambda one: (-one[1], one[0]))[:5]
        )
        notes.append(f"passed over files of other kinds: {others}")
    return notes


def _name(path: Path, folder: Path) -> str:
    """The path below the blog folder, with bytes that are no UTF-8 shown as \ufffd, because JSON cannot hold them."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "replace")
