"""A block of YAML → a mapping whose scalars are all strings, with libyaml where it is there.

In: the lines between two fences. Out: values and remarks, or Broken with the line. `title: No` stays a title and
2015-21-12 is no crash, because nothing is guessed about scalars here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blogtwin.sources.base import one_line

_KEY = re.compile(r"([A-Za-z_][\w .-]*?)[ \t]*:(?:[ \t]+|$)")
_SMART = str.maketrans({"\xa0": " ", "\u3000": " ", "\u2028": " ", "\ufeff": " "})
# libyaml's composer calls itself for each level and has no limit: 30,000 brackets end the process. Pure Python's
# raises RecursionError. No nesting is deeper than the number of marks that open one.
_MAX_MARKS = 2_000


class Broken(Exception):
    """What is wrong with front matter; line: inside the block, from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True)
class Values:
    """remarks: (line inside the block from 1, what a reader should know)."""

    values: Mapping[str, object]
    remarks: tuple[tuple[int, str], ...] = ()


def load_yaml(block: str) -> Values | None:
    """The mapping in `block`; None for a block that is YAML but no mapping. Raises Broken."""
    import yaml

    if (odd := block.find(":\xa0")) >= 0:  # to YAML a key like any other
        raise Broken("a non-breaking space stands where a blank should", block.count("\n", 0, odd) + 1)
    loader: Any = _loader(block)
    try:
        try:
            node = loader.get_single_node()
            values = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError as fault:
        raise Broken("it is nested too deeply", 1) from fault
    except (yaml.YAMLError, ValueError, TypeError) as fault:  # TypeError: a list as a key
        mark = getattr(fault, "problem_mark", None)
        if "scanning a quoted" in str(getattr(fault, "context", "")):  # where it opens, not the end of the text
            mark = getattr(fault, "context_mark", None)
        raise Broken(one_line(getattr(fault, "problem", None) or fault), mark.line + 1 if mark else 1) from fault
    if values is None or values == "":
        return Values({})
    if not isinstance(values, dict):
        return None
    remarks = () if len(node.value) == len(values) else tuple(_twice(node))
    return Values({str(key): value for key, value in values.items()}, remarks)


def _loader(block: str) -> Any:
    import yaml

    if yaml.__with_libyaml__ and sum(block.count(mark) for mark in "[{?-") < _MAX_MARKS:
        return yaml.CBaseLoader(block)
    return yaml.BaseLoader(block)


def _twice(node: Any) -> list[tuple[int, str]]:
    seen: set[str] = set()
    found = []
    for key, _ in node.value:
        if str(key.value) in seen:
            found.append((key.start_mark.line + 1, f"{one_line(key.value)!r} is there twice; the last was taken"))
        seen.add(str(key.value))
    return found


def mended_yaml(block: str) -> Mapping[str, object] | None:
    """`block` read as a person would: tabs and odd spaces as spaces, and a value that is no YAML as plain words."""
    lines = [re.sub(r"^\t+", lambda tabs: "  " * len(tabs.group()), line).rstrip() for line in block.split("\n")]
    lines = [line.translate(_SMART) for line in lines]
    out = []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        key = _KEY.match(line)
        if key and following[:1] not in (" ", "-") and not _sound(line):
            line = f"{key.group(1)}: {_quoted(line[key.end() :])}"
        out.append(line)
    try:
        found = load_yaml("\n".join(out))
    except Broken:
        return None
    return found.values if found else None


def _sound(line: str) -> bool:
    try:
        return load_yaml(line) is not None
    except Broken:
        return False


def _quoted(value: str) -> str:
    value = value.strip()
    if value[:1] in "\"'" and value.count(value[:1]) == 1:  # opened and never closed
        value = value[1:]
    elif value[-1:] in "\"'" and value.count(value[-1:]) == 1 and not value[-2:-1].isspace():
        value = value[:-1]
    elif len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":  # 'it's'
        value = value[1:-1]
    return "'" + value.replace("'", "''") + "'"
