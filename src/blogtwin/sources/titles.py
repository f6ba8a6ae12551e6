"""A post's title when it stands in the text or in the file name, and the text without its repetition.

In: the body of a post, or its path. Out: a title of one line, and the body that is left.
"""

from __future__ import annotations

import html
import re
from pathlib import PurePath

from blogtwin.sources.base import one_line

_HEADING_ONE = re.compile(r"^ {0,3}#[ \t]+(\S.*?)[ \t]*#*[ \t]*$|^(\S.*?)[ \t]*\n=+[ \t]*$", re.MULTILINE)
_CODE_BLOCK = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_DATE_PREFIX = re.compile(r"^\d{4}[-_.]?\d{2}[-_.]?\d{2}(?:[-_. T]+|$)")
_MORE_ENDINGS = re.compile(r"\.(html?|aspx|php|md|markdown|txt|[a-z]{2}(-[A-Za-z]{2})?)$", re.IGNORECASE)


def from_heading(body: str, title: str | None) -> tuple[str | None, str]:
    """The title (`title` where it is known) and the body without the level-one heading that repeats it.

    Without a known title, the first level-one heading is one when it opens the body or is the only one: an author
    who writes many means sections by them.
    """
    # Same length, so that places in it are places in the body; a comment in a shell script is no heading.
    visible = _CODE_BLOCK.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), body)
    headings = list(_HEADING_ONE.finditer(visible))
    if not headings:
        return title, body
    first = headings[0]
    opens = not visible[: first.start()].strip()
    said = plain(first.group(1) or first.group(2))
    if title is None and said and (opens or len(headings) == 1):
        title = said
    elif not opens or title is None or _folded(said) != _folded(title):
        return title, body
    return title, (body[: first.start()].rstrip() + "\n\n" + body[first.end() :].lstrip("\n")).lstrip("\n")


def from_first_line(body: str, title: str | None) -> tuple[str | None, str]:
    """A plain text's title: its first line, when that is short, no sentence, and followed by a blank line or a rule."""
    first, _, rest = body.lstrip("\n").partition("\n")
    underlined = re.match(r"^[=-]{3,}[ \t]*(?:\n|\Z)", rest)
    rest = rest[underlined.end() :] if underlined else rest
    said = one_line(first)
    separate = bool(underlined) or (rest[:1] in ("", "\n") and not said.endswith((".", ",", ";", ":", "。", "、")))
    if not said or len(said) > 100 or not separate or not rest.strip():
        return title, body
    if title is None or _folded(said) == _folded(title):
        return title or said, rest.lstrip("\n")
    return title, body


def from_path(path: PurePath) -> str:
    """A title made of the file name: 2019-03-10-shop-opens-late.html.md → Shop opens late; index.md → its folder."""
    name = PurePath(path.name).stem
    while _MORE_ENDINGS.search(name):
        name = _MORE_ENDINGS.sub("", name)
    if name.lower() in ("index", "post") and path.parent.name:
        name = path.parent.name
    words = one_line(re.sub(r"[-_+]+", " ", _DATE_PREFIX.sub("", name))) or one_line(name)
    return words[:1].upper() + words[1:]


def plain(title: str) -> str:
    """A title without Markdown, entities and tags."""
    title = re.sub(r"\s*\{[:#.][^}]*\}\s*$", "", _LINK.sub(r"\1", title))
    title = re.sub(r"</?(?:a|b|br|code|em|i|small|span|strong|sub|sup)\b[^>]*>", "", title)
    title = re.sub(r"(?<!\w)(\*\*|__|\*|_|`)(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", title)
    return one_line(html.unescape(re.sub(r"\\([#*_`\[\]<>])", r"\1", title)))


def _folded(title: str) -> str:
    return re.sub(r"\W+", "", plain(title)).casefold()
