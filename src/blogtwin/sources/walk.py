"""Every file below a folder, one at a time, each with what makes it a post or no post.

In: a folder and the endings to read. Out: Founds in the order of their path's parts, which is independent of the file
system's own order. Only the names of the folders that are open are in memory. A link never leads out of the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

# Files that stand in blog folders and are no posts, by their name up to the first dot (README.ja.md, _index.md).
_NOT_POSTS = {
    "readme": "a README",
    "_index": "a list page",
    "404": "an error page",
    **dict.fromkeys(("license", "licence", "copying", "notice", "unlicense"), "a license"),
    **dict.fromkeys(
        (
            "contributing",
            "code_of_conduct",
            "security",
            "changelog",
            "changes",
            "authors",
            "contributors",
            "codeowners",
        ),
        "about the repository, no post",
    ),
    **dict.fromkeys(("robots", "humans", "ads", "app-ads", "llms", "sitemap"), "for robots, no post"),
    **dict.fromkeys(("requirements", "cmakelists", "constraints"), "part of a program"),
}
_LICENSE = re.compile(r"licen[cs]e[-_](?:mit|apache|bsd|gpl|lgpl|agpl|cc|mpl|code|content|docs|text|\d)", re.IGNORECASE)
_REQUIREMENTS = re.compile(r"(?:requirements|constraints)[-_][\w-]+\.txt|[\w-]+[-_]requirements\.txt", re.IGNORECASE)
_NOT_BLOGS = {
    "node_modules": "other people's programs",
    "__macosx": "made by the Finder",
    "__pycache__": "made by Python",
    **dict.fromkeys(("_layouts", "_includes", "_templates", "_sass"), "a site's templates"),
    "_site": "made by a site generator from the posts",
}
# What these hold is no post where a site generator's settings lie beside them, and may be one anywhere else.
_OF_A_SITE = {
    **dict.fromkeys(("layouts", "archetypes", "themes", "templates", "partials"), "a site's templates"),
    **dict.fromkeys(("public", "output", "dist", "build", "resources"), "made by a site generator from the posts"),
}
_SITE_SETTINGS = {
    "hugo.toml", "hugo.yaml", "hugo.yml", "config.toml", "config.yaml", "config.yml", "_config.yml", "_config.yaml",
    "conf.py", "pelicanconf.py", "package.json", "zola.toml", ".eleventy.js", "eleventy.config.js", "gatsby-config.js",
    "astro.config.mjs", "astro.config.ts", "config.rb", "site.hs",
}  # fmt: skip
_DATED = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}")
_BUNDLE = re.compile(r"index(?:\.[\w-]+)*\.(?:md|markdown|mdx|rmd|org|rst|adoc|asciidoc|dj|html?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """One file, or a folder that stays shut. path: below the folder, with `/`; what is no UTF-8 in it is escaped as the
    operating system's functions do. size in bytes and mtime_ns are of the file a link leads to, 0 where there is none.
    reason: why it is passed over; None means that it is to be read.
    """

    path: str
    size: int
    mtime_ns: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Inside:
    """What is asked of a folder's names: its path below the top with a `/` at its end, and what lies in it."""

    path: str
    bundle: str | None  # the index file that others are attachments of
    site: bool


def walk(folder: Path, endings: Collection[str]) -> Iterator[Found]:
    """Every file below `folder`, sorted by the parts of its path. endings: in lower case, without the dot.

    Files of hidden folders, and of folders that hold no posts, are not looked at: such a folder is one Found.
    """
    top = os.path.realpath(folder)
    wanted = frozenset(endings)
    inside, refusal = _opened(os.fspath(folder), "")
    if refusal:
        yield refusal
    stack = [inside]
    while stack:
        entry, around = next(stack[-1], (None, None))
        if entry is None or around is None:
            stack.pop()
            continue
        try:
            shut, below = _folder(entry, around, top)
            if below is None:
                yield shut or _file(entry, around, top, wanted)
                continue
        except OSError as fault:  # it went away, or its name is one the system refuses
            yield Found(around.path + entry.name, 0, 0, f"cannot be opened: {(fault.strerror or str(fault)).lower()}")
            continue
        inside, refusal = _opened(entry.path, below)
        if refusal:
            yield refusal
        stack.append(inside)


def _opened(folder: str, relative: str) -> tuple[Iterator[tuple[os.DirEntry[str], _Inside]], Found | None]:
    """The entries of a folder by their names, and a Found where it stays shut."""
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as fault:
        reason = f"cannot be opened: {(fault.strerror or str(fault)).lower()}"
        return iter(()), Found(relative.rstrip("/") or ".", 0, 0, reason)
    around = _Inside(
        relative,
        next((entry.name for entry in entries if _BUNDLE.fullmatch(entry.name)), None),
        any(entry.name.lower() in _SITE_SETTINGS for entry in entries),
    )
    return ((entry, around) for entry in entries), None


def _folder(entry: os.DirEntry[str], around: _Inside, top: str) -> tuple[Found | None, str | None]:
    """For a folder, either why it stays shut or its path; for anything else, neither."""
    if not entry.is_dir():
        return None, None
    name, path = entry.name.lower(), around.path + entry.name
    reason = "hidden" if name.startswith(".") else _NOT_BLOGS.get(name)
    if reason is None and around.site:
        reason = _OF_A_SITE.get(name)
    if reason is None and entry.is_symlink():
        # A folder inside is read in its own place; following the link too would read it twice, or for ever.
        inside = _is_inside(os.path.realpath(entry.path), top)
        reason = "a link to a folder that is read in its own place" if inside else "a link out of the folder"
    return (Found(path, 0, 0, reason), None) if reason else (None, path + "/")


def _file(entry: os.DirEntry[str], around: _Inside, top: str, endings: frozenset[str]) -> Found:
    path = around.path + entry.name
    reason = _not_a_post(entry.name, around, endings)
    if entry.is_symlink():
        real = os.path.realpath(entry.path)
        if not _is_inside(real, top):
            return Found(path, 0, 0, "a link out of the folder")
        if not Path(real).exists():
            return Found(path, 0, 0, reason or "a link that leads nowhere")
        below = Path(real).relative_to(top)
        read_there = _ending(below.name) in endings and not any(part.startswith(".") for part in below.parts)
        reason = reason or ("a link to a file that is read in its own place" if read_there else None)
    if reason is None and not entry.is_file():
        reason = "not a regular file"
    about = entry.stat()
    return Found(path, about.st_size, about.st_mtime_ns, reason)


def _not_a_post(name: str, around: _Inside, endings: frozenset[str]) -> str | None:
    ending = _ending(name)
    if name.startswith((".", "~$")) or name.endswith("~"):
        return "hidden" if name.startswith(".") else "left behind by an editor"
    if ending not in endings:
        return f"of another kind: {f'.{ending}' if ending else 'no ending'}"
    if known := _NOT_POSTS.get(name.split(".")[0].lower()):
        return known
    if _LICENSE.match(name):
        return "a license"
    if _REQUIREMENTS.fullmatch(name):
        return "part of a program"
    if ending == "txt" and around.bundle and not _BUNDLE.fullmatch(name) and not _DATED.match(name):
        return f"a text attachment of {around.bundle}"
    return None


def _ending(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return ending.lower() if dot and stem else ""


def _is_inside(real: str, top: str) -> bool:
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)
