"""Front matter: what stands above a post's text, in YAML (---), TOML (+++), JSON ({…} or ;;;) or `key: value` lines.

In: the text of a file. Out: its values, the body below it, and a remark for whatever is broken. Broken front matter is
mended where a person can see what was meant; where not, its plain `key: value` lines are used. It never stays in the
text, because nobody's twin should learn to write it, and text between two rules is never taken for it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from blogtwin.sources.base import one_line
from blogtwin.sources.yaml_block import Broken, Values, load_yaml, mended_yaml

_OPENING = re.compile(r"(-{3,}|\+\+\+|;;;)[ \t]*(yaml|yml|toml|json)?[ \t]*\n", re.IGNORECASE)
_CLOSING = {
    "-": re.compile(r"^(?:-{3,}|\.\.\.)[ \t]*$", re.MULTILINE),
    "+": re.compile(r"^\+\+\+[ \t]*$", re.MULTILINE),
    ";": re.compile(r"^;;;[ \t]*$", re.MULTILINE),
}
_PAIR = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*[:=][ \t]*(.*?)[ \t]*$", re.MULTILINE)
_PAIR_LINE = re.compile(r"[A-Za-z_][\w .-]{0,40}[ \t]*[:=](?:[ \t]|$)")
_NIKOLA = re.compile(r"<!--[ \t]*\n((?:\.\.[ \t]+[\w-]+:.*\n|[ \t]*\n)+)[ \t]*-->[ \t]*\n?")
_PANDOC = re.compile(r"%[ \t]+(\S.*)\n(?:%[ \t]*(.*)\n)?(?:%[ \t]*(.*)\n)?")
# Lines like `Note: …` open many a text; a post's own data has at least one of these.
_KNOWN = {
    "title", "date", "tags", "tag", "slug", "category", "categories", "author", "authors", "summary", "status", "layout",
    "draft", "published", "description", "permalink", "lang", "language", "created", "keywords", "template", "subtitle",
    "excerpt", "modified", "updated", "type", "id", "url", "aliases", "image", "series", "comments", "weight", "toc",
}  # fmt: skip
_MAX_CHARS = 65_536  # front matter is a few lines; a parser should not meet megabytes


@dataclass(frozen=True)
class FrontMatter:
    """values: as the parser gave them (YAML scalars as strings). body: the text without the front matter."""

    values: Mapping[str, object] = field(default_factory=dict)
    body: str = ""
    remarks: tuple[str, ...] = ()


def split(text: str) -> FrontMatter:
    """Take the front matter off `text`."""
    start = text.lstrip("\n\t \ufeff")
    line = text.count("\n", 0, len(text) - len(start)) + 1
    found: FrontMatter | None = None
    if match := _OPENING.match(start):
        found = _fenced(start, match, line + 1)
    elif start.startswith("{"):
        found = _object(start)
    elif start.startswith("<!--"):
        found = _in_comment(start)
    elif start.startswith("% "):
        found = _title_block(start)
    elif _PAIR_LINE.match(start):
        found = _lines(start, line)
    return found or FrontMatter({}, text)


def _fenced(start: str, opening: re.Match[str], line: int) -> FrontMatter | None:
    """Between two fences. line: that of the first line inside, from 1."""
    fence, language = opening.group(1)[0], (opening.group(2) or "").lower()
    end = _CLOSING[fence].search(start, opening.end(), opening.end() + _MAX_CHARS)
    block = start[opening.end() : end.start()] if end else ""
    try:
        if not end:
            raise Broken("it has no closing ---", 1)
        found = _PARSERS.get(language or fence, load_yaml)(block)
    except Broken as fault:
        return _broken(start, opening, end, fault, line)
    if found is None or not _is_data(found.values):
        return None
    remarks = tuple(f"line {line + at - 1}: {what}" for at, what in found.remarks)
    return FrontMatter(found.values, start[end.end() :].lstrip("\n"), remarks)


def _broken(
    start: str, opening: re.Match[str], end: re.Match[str] | None, fault: Broken, line: int
) -> FrontMatter | None:
    """What can be read of a block that its parser refused, or None for one that is text."""
    fence, inside = opening.group(1)[0], opening.end()
    head = _head(start[inside : inside + _MAX_CHARS]) if fence == "-" and not opening.group(2) else 0
    if head and (not end or inside + head < end.start()):
        # Prose below a blank line, and the rule that ends it further down, were never part of it.
        values, remarks = _salvaged(start[inside : inside + head], Broken("it has no closing ---", 1), "-", line)
        return FrontMatter(values, start[inside + head :].lstrip("\n"), remarks)
    if not end or not _PAIR.search(start, inside, end.start()):
        return None
    values, remarks = _salvaged(start[inside : end.start()], fault, fence, line)
    return FrontMatter(values, start[end.end() :].lstrip("\n"), remarks)


def _is_data(values: Mapping[str, object]) -> bool:
    """Whether this is a post's data, and not a sentence with a colon between two rules."""
    if len(values) != 1 or any(key.lower() in _KNOWN for key in values):
        return True
    ((key, value),) = values.items()
    return " " not in key and not (isinstance(value, str) and len(value.split()) > 6)


def _head(block: str) -> int:
    """Where leading `key: value` lines end at a blank line with prose below it; 0 when they do not."""
    end, known = 0, False
    for line in block.splitlines(keepends=True):
        if not line.strip():
            rest = block[end:].lstrip("\n")
            return end if known and end and rest and not _PAIR_LINE.match(rest) and rest[0] not in " -#" else 0
        if not _PAIR_LINE.match(line) and line[0] not in " \t-#":
            return 0
        known = known or line.partition(":")[0].strip().lower() in _KNOWN
        end += len(line)
    return end if known and len(block) < _MAX_CHARS and end == len(block) else 0


def _salvaged(block: str, fault: Broken, fence: str, line: int) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """The values of broken front matter, and the remark that says how it is broken."""
    kind = {"+": "TOML", ";": "JSON"}.get(fence, "YAML")
    remark = f"line {line + fault.line - 1}: the front matter is not {kind}: {fault}; it was read as it was meant"
    if fence == "-" and (values := mended_yaml(block)) is not None:
        return values, (remark,)
    pairs = {key: value.strip("\"'") for key, value in _PAIR.findall(block)}
    return pairs, (remark.replace("it was read as it was meant", "its simple lines were read"),)


def _toml(block: str) -> Values:
    try:
        return Values(tomllib.loads(block))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as fault:
        at = re.search(r"at line (\d+)", str(fault))
        reason = "it is nested too deeply" if isinstance(fault, RecursionError) else str(fault).split(" (at ")[0]
        raise Broken(one_line(reason), int(at.group(1)) if at else 1) from fault


def _json(block: str) -> Values:
    try:
        values = json.loads(block if block.lstrip().startswith("{") else f"{{{block}}}")
    except RecursionError as fault:
        raise Broken("it is nested too deeply", 1) from fault
    except ValueError as fault:
        raise Broken(one_line(getattr(fault, "msg", fault)), getattr(fault, "lineno", 1)) from fault
    return Values(values)


_PARSERS = {"+": _toml, "toml": _toml, ";": _json, "json": _json}


def _object(start: str) -> FrontMatter | None:
    """Hugo's JSON: an object at the very top. `{% … %}` and `{{< … >}}` are none."""
    if not re.match(r'\{\s*"', start):
        return None
    try:
        values, end = json.JSONDecoder().raw_decode(start[:_MAX_CHARS])
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not any(str(key).lower() in _KNOWN for key in values):
        return None
    return FrontMatter(values, start[end:].lstrip())


def _in_comment(start: str) -> FrontMatter | None:
    """Nikola's: `.. key: value` lines in an HTML comment."""
    match = _NIKOLA.match(start)
    if not match:
        return None
    values = dict(re.findall(r"^\.\.[ \t]+([\w-]+):[ \t]*(.*?)[ \t]*$", match.group(1), re.MULTILINE))
    return FrontMatter(values, start[match.end() :].lstrip("\n")) if "title" in values else None


def _title_block(start: str) -> FrontMatter | None:
    """Pandoc's: up to three lines that begin with % are title, authors and date."""
    match = _PANDOC.match(start)
    if not match:
        return None
    values = {key: value for key, value in zip(("title", "author", "date"), match.groups(), strict=True) if value}
    return FrontMatter(values, start[match.end() :].lstrip("\n"))


def _lines(start: str, line: int) -> FrontMatter | None:
    """Pelican's, MultiMarkdown's and Hexo's: `Key: value` lines from the first one to a blank line, or to ---."""
    values: dict[str, object] = {}
    key, end, remarks = "", 0, []
    for number, one in enumerate(start[:_MAX_CHARS].split("\n")):
        pair = re.match(r"([A-Za-z][\w -]{0,40}?)[ \t]*:(?:[ \t]+(.*)|)$", one)
        if pair:
            key = pair.group(1).lower()
            if key in values:
                remarks.append(f"line {line + number}: {key!r} is there twice; the last was taken")
            values[key] = (pair.group(2) or "").strip()
        elif one[:1] in (" ", "\t") and one.strip() and key:
            values[key] = f"{values[key]} {one.strip()}".strip()
        elif re.fullmatch(r"-{3,}[ \t]*", one) and "title" in values:
            return FrontMatter(values, start[end + len(one) + 1 :].lstrip("\n"), tuple(remarks))
        elif one.strip():
            return None
        else:
            break
        end += len(one) + 1
    if "title" in values and values.keys() & (_KNOWN - {"title"}):
        return FrontMatter(values, start[end:].lstrip("\n"), tuple(remarks))
    return None
