"""What front matter says of its post, in whatever words its generator has for it.

In: the values of front matter of any kind. Out: title, author, language, tags. Keys are compared without case, hyphens,
underscores and spaces; what Zola and Hugo keep in tables of their own counts after what stands at the top.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from blogtwin.sources.base import one_line

TITLE = ("title", "posttitle", "headline", "pagetitle", "subject")
LANGUAGE = ("lang", "language", "locale", "languagecode", "langcode", "inlanguage", "hreflang")
# A guest before the blog's owner, who is named in every post.
AUTHOR = (
    "guestauthor", "guest", "author", "authors", "by", "byline", "postedby", "writtenby", "writer", "postauthor",
    "authorname", "creator", "dccreator",
)  # fmt: skip
_TAGS = ("tags", "tag", "categories", "category", "keywords", "topics", "labels", "filetags")
_PHRASES = ("category", "keywords", "topics", "labels")  # `a b` is one of them, not two
_TABLES = ("taxonomies", "extra", "params", "metadata")
_SEPARATORS = str.maketrans("", "", "-_ ")


def folded(values: Mapping[str, object]) -> dict[str, object]:
    """`values` by keys in lower case without separators; tables inside add what the top does not say."""
    found: dict[str, object] = {}
    for key, value in values.items():
        found[str(key).lower().translate(_SEPARATORS)] = value
    for table in _TABLES:
        inner = found.get(table)
        if isinstance(inner, dict):
            for key, value in inner.items():
                found.setdefault(str(key).lower().translate(_SEPARATORS), value)
    return found


def words(said: Mapping[str, object], *keys: str) -> str | None:
    """The first of `keys` that holds a word, as one line; {name: …} and lists give their first. said: folded."""
    for key in keys:
        if key in said and (found := next(_each(said[key]), None)):
            return found
    return None


def author(said: Mapping[str, object]) -> str | None:
    """Who wrote it; several names are joined by commas."""
    for key in AUTHOR:
        if key in said:
            names = [re.sub(r"\s*<[^<>]*@[^<>]*>|\[([^\[\]]*)\]\([^()]*\)", r"\1", name) for name in _each(said[key])]
            if joined := ", ".join(dict.fromkeys(name.strip() for name in names if name.strip())):
                return joined
    return None


def tags(said: Mapping[str, object]) -> tuple[str, ...]:
    """Tags and categories, without repetition: lists, `a, b`, Jekyll's `a b` or Org's :a:b:."""
    found: list[str] = []
    for key in _TAGS:
        value = said.get(key)
        if isinstance(value, str):
            value = _divided(value.strip("[]"), key)
        found += _each(value)
    named = (tag.strip("'\"").lstrip("#") for tag in found)  # #garden, but F#
    return tuple(dict.fromkeys(tag for tag in named if tag))


def _divided(value: str, key: str) -> list[str]:
    if re.fullmatch(r":\S+:", value):
        return value.strip(":").split(":")
    for separator in (",", ";", "|"):
        if separator in value:
            return value.split(separator)
    return [value] if key in _PHRASES else value.split()


def _each(value: object) -> Iterator[str]:
    """The names in a value: a word, a list of words, {name: …}, or a list of those."""
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, dict):
            named = {str(key).lower(): inner for key, inner in one.items()}
            one = next((named[key] for key in ("name", "title", "slug", "id") if key in named), None)
        if isinstance(one, str | int | float) and not isinstance(one, bool) and (line := one_line(one)):
            yield line
