"""A post's title when it stands in the text or in the file name, and the text without its repetition.

In: the body of a post, or its path. Out: a title of one line, and the body that is left.
"""

from __future__ import annotations

import html
import re
from pathlib import PurePath

from blogtwin.sources.base import one_line

_MAYBE = re.compile(r"\n(?: {0,3}#[ \t]|={1,})")  # begins with a newline: searched for at the speed of memory
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_DATE_PREFIX = re.compile(r"^\d{4}[-_.]?\d{2}[-_.]?\d{2}(?:[-_. T]+|$)")
_MORE_ENDINGS = re.compile(r"\.(html?|aspx|php|md|markdown|txt|[a-z]{2}(-[A-Za-z]{2})?)$", re.IGNORECASE)


def from_heading(body: str, title: str | None) -> tuple[str | None, str]:
    """The title (`title` where it is known) and the body without the level-one heading that repeats it.

    Without a known title, the first level-one heading is one when it opens the body or is the only one: an author
    who writes many means sections by them.
    """
    if not body.startswith("#") and not _MAYBE.search("\n" + body):
        return title, body
    headings = _headings(body)
    if not headings:
        return title, body
    begin, end = headings[0]
    opens = not body[:begin].strip()
    said = plain(_words_of_heading(body[begin:end]))
    if title is None and said and (opens or len(headings) == 1):
        title = said
    elif not opens or title is None or _folded(said) != _folded(title):
        return title, body
    return title, (body[:begin].rstrip() + "\n\n" + body[end:].lstrip("\n")).lstrip("\n")


def _headings(body: str) -> list[tuple[int, int]]:
    """Where the level-one headings stand, as places in `body`; a comment in a shell script is no heading."""
    import pyromark

    data = body.encode("utf-8", "surrogatepass")  # the parser counts bytes
    found: list[tuple[int, int]] = []
    for event, span in pyromark.events_with_range(body):
        start = event.get("Start") if isinstance(event, dict) else None
        if not isinstance(start, dict) or "Heading" not in start or start["Heading"]["level"] != "H1":
            continue
        if data[data.rfind(b"\n", 0, span["start"]) + 1 : span["start"]].strip():
            continue  # in a quotation or a list
        before, heading = data[: span["start"]], data[span["start"] : span["end"]]
        begin = len(before.decode("utf-8", "surrogatepass"))
        found.append((begin, begin + len(heading.decode("utf-8", "surrogatepass"))))
        if len(found) == 2:  # one that opens the body, or the only one: more cannot matter
            break
    return found


def _words_of_heading(source: str) -> str:
    source = source.strip()
    if source.startswith("#"):
        return source.strip("#").strip()
    return source.rstrip("= \t\n")


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


def from_words(body: str) -> str | None:
    """A title made of the first words of a post that has neither title nor file name."""
    lines = (line for line in body[:4000].split("\n") if re.search(r"\w{2}", line) and not line.startswith("!["))
    words = plain(next(lines, "").lstrip("#>*-+ \t")).split()
    said = " ".join(words[:8])[:60].rstrip(" ,;:.")
    return f"{said}…" if said and len(words) > 8 else said or None


def plain(title: str) -> str:
    """A title without Markdown, entities and tags."""
    title = re.sub(r"\s*\{[:#.][^}]*\}\s*$", "", _LINK.sub(r"\1", title))
    title = re.sub(r"</?(?:a|b|br|code|em|i|small|span|strong|sub|sup)\b[^>]*>", "", title)
    title = re.sub(r"(?<!\w)(\*\*|__|\*|_|`)(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", title)
    return one_line(html.unescape(re.sub(r"\\([#*_`\[\]<>])", r"\1", title)))


def _folded(title: str) -> str:
    return re.sub(r"\W+", "", plain(title)).casefold()
