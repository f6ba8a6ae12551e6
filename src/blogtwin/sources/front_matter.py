"""Front matter: what stands above a post's text, in YAML (---), TOML (+++) or Pelican's `Title: …` lines.

In: the text of a file. Out: its values, the body below it, and a remark when it is broken. Broken front matter is
still taken off the text, because nobody's twin should learn to write it; its plain `key: value` lines are used.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from blogtwin.sources.base import one_line

_FENCES = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*$", re.MULTILINE),
}
_PAIR = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*[:=][ \t]*(.*?)[ \t]*$", re.MULTILINE)
_PELICAN = re.compile(r"\A(?:[A-Z][\w-]*:[ \t]+\S.*\n){2,20}(?=\n)")
_MAX_CHARS = 65_536  # front matter is a few lines; a parser in pure Python should not meet megabytes


@dataclass(frozen=True)
class FrontMatter:
    """values: as the parser gave them (YAML scalars as strings). body: the text without the front matter."""

    values: Mapping[str, object] = field(default_factory=dict)
    body: str = ""
    remark: str | None = None


def split(text: str) -> FrontMatter:
    """Take the front matter off `text`."""
    start = text.lstrip("\n\t ")
    opening = start[:3]
    first_line, newline, rest = start.partition("\n")
    if opening in _FENCES and first_line.rstrip() == opening and newline:
        end = _FENCES[opening].search(rest, 0, _MAX_CHARS)
        if end:
            line = text.count("\n", 0, len(text) - len(start)) + 1
            parsed = _parse(opening, rest[: end.start()], line)
            if parsed is not None:
                return FrontMatter(parsed[0], rest[end.end() :].lstrip("\n"), parsed[1])
    elif match := _PELICAN.match(start):
        values = {key.lower(): value for key, value in _PAIR.findall(match.group())}
        if "title" in values and values.keys() & {"date", "tags", "slug", "category", "author", "summary", "status"}:
            return FrontMatter(values, start[match.end() :].lstrip("\n"))
    return FrontMatter({}, text)


def _parse(opening: str, block: str, line: int) -> tuple[dict[str, object], str | None] | None:
    """Values and a remark, or None when the block between two rules is no front matter but text."""
    try:
        # BaseLoader leaves every scalar a string: `title: No` stays a title, and 2015-21-12 is no crash.
        values = tomllib.loads(block) if opening == "+++" else yaml.load(block, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError) as fault:
        pairs = _PAIR.findall(block)
        if not pairs:
            return None
        salvaged: dict[str, object] = {key: value.strip("\"'") for key, value in pairs}
        kind = "TOML" if opening == "+++" else "YAML"
        return salvaged, f"line {line + _line_of(fault)}: the front matter is not {kind}: {_reason(fault)}"
    if values is None or values == "":
        return {}, None
    return ({str(key): value for key, value in values.items()}, None) if isinstance(values, dict) else None


def _line_of(fault: Exception) -> int:
    """The line inside the block, from 1."""
    if isinstance(fault, yaml.MarkedYAMLError) and fault.problem_mark:
        return int(fault.problem_mark.line) + 1
    match = re.search(r"at line (\d+)", str(fault))
    return int(match.group(1)) if match else 1


def _reason(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    problem = fault.problem if isinstance(fault, yaml.MarkedYAMLError) else None
    return one_line(problem or re.sub(r" \(at .*\)", "", str(fault)))


def text_value(values: Mapping[str, object], *keys: str) -> str | None:
    """The first of `keys` that holds a word, as one line; {name: …} and lists give their first."""
    for key in keys:
        value = next((value for name, value in values.items() if name.lower() == key), None)
        if isinstance(value, dict):
            value = value.get("name")
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str | int | float) and not isinstance(value, bool) and one_line(value):
            return one_line(value)
    return None


def tags(values: Mapping[str, object]) -> tuple[str, ...]:
    """Tags and categories, without repetition: lists, `a, b` or Jekyll's `a b`; Zola keeps them in taxonomies."""
    places: list[Mapping[str, object]] = [values]
    if isinstance(values.get("taxonomies"), dict):
        places.append(values["taxonomies"])  # type: ignore[arg-type]
    found: list[str] = []
    for place in places:
        for key in ("tags", "tag", "categories", "category"):
            value = place.get(key, place.get(key.capitalize()))
            if isinstance(value, str):
                value = value.split(",") if "," in value or key == "category" else value.split()
            if isinstance(value, list):
                found += [one_line(tag) for tag in value if isinstance(tag, str | int)]
    return tuple(dict.fromkeys(tag for tag in found if tag))


def is_draft(values: Mapping[str, object]) -> bool:
    """Whether the author says that this is not published."""
    said = {key.lower(): str(value).strip().lower() for key, value in values.items() if isinstance(value, str | bool)}
    yes, no = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
    return (
        any(said.get(key) in yes for key in ("draft", "hidden", "unlisted"))
        or any(said.get(key) in no for key in ("published", "publish"))
        or said.get("status") in ("draft", "hidden", "private")
    )
