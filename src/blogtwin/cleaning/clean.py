"""A post's Markdown → what its author wrote: without a site generator's machinery, pictures and invisible characters.

In: the body of a Post and its format. Out: Markdown with its code, emphasis, lists, tables, links and footnotes as they were.
Plain text and Word posts hold no machinery; they are only tidied.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from blogtwin.cleaning.html_text import without_html
from blogtwin.config import Part
from blogtwin.markup.pairs import element, replaced, without
from blogtwin.markup.shelter import Shelter
from blogtwin.records import PostFormat

# Soft hyphens, zero-width spaces, word joiners and byte order marks; the joiners that scripts and emoji need stay.
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIGHLIGHTS = (
    (re.compile(r"\{%-?\s*highlight\s*([\w+#-]*)[^%{}]*%\}"), re.compile(r"\{%-?\s*endhighlight\s*-?%\}")),
    (re.compile(r"\{\{<\s*highlight\s*\"?([\w+#-]*)[^<>{}]*>\}\}"), re.compile(r"\{\{<\s*/\s*highlight\s*>\}\}")),
)
_PRE = element("pre")
_MACHINERY = (  # the longer first: a Liquid comment holds text that is not for readers
    (re.compile(r"\{%-?\s*comment\s*-?%\}"), re.compile(r"\{%-?\s*endcomment\s*-?%\}")),
    (re.compile(r"\{#"), re.compile(r"#\}")),
    (re.compile(r"\{\{[<%]"), re.compile(r"[>%]\}\}")),
    (re.compile(r"\{%"), re.compile(r"%\}")),
    (re.compile(r"\{\{"), re.compile(r"\}\}")),
)
_ATTRIBUTES = re.compile(r"(?<![ \t])[ \t]*\{[:#.][^{}\n]*\}[ \t]*$|\{:[^{}\n]*\}", re.MULTILINE)
_WORDPRESS = re.compile(
    r"\[/?(?:caption|gallery|embed|youtube|audio|video|playlist|toc|more|sourcecode|code)\b[^\]\n]*\](?!\(|\[)",
    re.IGNORECASE,
)
_TOC = re.compile(r"^[ \t]*(?:\[\[?toc\]?\]|\* ?toc|\* table of contents)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_TARGET = r"\((?:[^()\s]|\([^()\s]*\)|\s(?=[\"'(=\d]))*(?:\s*(?:\"[^\"]*\"|'[^']*'))?\s*\)"
_IMAGE = re.compile(rf"!\[(?:[^\[\]]|\[[^\]]*\])*\](?:{_TARGET}|\([^)\n]*\)|\[[^\]]*\])|!\[\[[^\]\n]*\]\]")
_EMPTY_LINK = re.compile(rf"(?<!!)\[\s*\]{_TARGET}|(?<!!)\[\s*\]\[[^\]]*\]")
_LINK_TO_NOTHING = re.compile(r"(?<!!)\[([^\[\]]+)\]\(\s*\)")
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|\n]*\|)?([^\[\]|\n]+)\]\]")
_DEFINITION = re.compile(
    r"^ {0,3}\[(?!\^)([^\]]+)\]:[ \t]*\n?[ \t]*(?:<[^>\n]*>|\S+)"
    r"(?:[ \t]*\n?[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'|\([^)\n]*\)))?[ \t]*$",
    re.MULTILINE,
)
_REFERENCES = tuple(  # innermost brackets first: [[text][label], 173 kB]
    re.compile(rf"(?<![!\\])\[({inside}+)\](?: ?\n?\[([^\[\]]*)\]|(?!\())")
    for inside in (r"[^\[\]]", r"(?:[^\[\]]|\[[^\[\]]*\])")
)
_ABBREVIATION = re.compile(r"^\*\[[^\]\n]+\]:.*$", re.MULTILINE)
_HEADINGS_OF_NOTHING = re.compile(r"(?:(?:\A|\n+) {0,3}#{1,6} [^\n]*)+\s*\Z")
_SETEXT = re.compile(r"(?<![^\n])(?<!\S\n)([^\s>|#\-*+\x02].*)\n(=+|-{3,})[ \t]*$", re.MULTILINE)
_TRAILING = re.compile(r"(?<=\S)[ \t]+$|^[ \t]+$", re.MULTILINE)


@dataclass(frozen=True)
class Cleaned:
    """text: the author's words as Markdown, "" where there was nothing but machinery. cuts: what was taken out → words."""

    text: str
    cuts: Mapping[str, int] = field(default_factory=dict)


def clean(text: str, format: PostFormat, drop: Collection[Part] = ()) -> Cleaned:
    """The author's text, without the parts in `drop`."""
    return Cleaned(_cleaned(text, format))


def _cleaned(text: str, format: PostFormat) -> str:
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = re.sub("[\u00a0\u202f\u2007]", " ", text)
    if format == "markdown":
        shelter = Shelter()
        text = _without_machinery(shelter, text)
        text = _HEADINGS_OF_NOTHING.sub("", _tidied(text))
        return shelter.restored(text).strip("\n").rstrip()
    return _tidied(text).strip("\n").rstrip()


def _without_machinery(shelter: Shelter, text: str) -> str:
    text = shelter.take_fences(text)
    for opening, closing in _HIGHLIGHTS:
        text = replaced(text, opening, closing, lambda begin, code: shelter.keep(_fenced(begin.group(1), code)))
    text = replaced(text, *_PRE, lambda begin, code: shelter.keep(_fenced("", _plain(code))))
    text = shelter.take_rest(text)
    for opening, closing in _MACHINERY:
        text = without(text, opening, closing)
    text = _TOC.sub("", _ATTRIBUTES.sub("", text))
    text = without_html(text)
    text = _EMPTY_LINK.sub("", _IMAGE.sub("", text))
    text = _resolved(shelter, _ABBREVIATION.sub("", text))
    text = _WORDPRESS.sub("", text)  # after the references, because [code] and [youtube] may be labels
    text = _WIKI_LINK.sub(r"\1", _LINK_TO_NOTHING.sub(r"\1", text))
    # One spelling of headings, so that sections are found and the twin learns one.
    return _SETEXT.sub(lambda match: ("# " if match.group(2)[0] == "=" else "## ") + match.group(1).strip(), text)


def _resolved(shelter: Shelter, text: str) -> str:
    """Reference links as their text, without the definitions: an address is nothing a twin could know."""

    def key(label: str) -> str:
        return " ".join(shelter.restored(label).split()).casefold()

    defined = {key(match.group(1)) for match in _DEFINITION.finditer(text)}

    def resolved(match: re.Match[str]) -> str:
        words, label = match.groups()
        if label is None and match.string[match.start() - 1 : match.start()] == "]":
            return match.group()  # the label of a link whose text has brackets of its own, which is next
        known = key(label or words) in defined
        if not known and label is not None and not match.string[match.start() - 1 : match.start()].isalnum():
            known = label == "" or " " in words or "\n" in words  # a slip of the author's; grid[i][j] is no link
        return str(words) if known else match.group()

    text = _DEFINITION.sub("", text)
    for pattern in _REFERENCES:
        text = pattern.sub(resolved, text)
    return text


def _fenced(language: str, code: str) -> str:
    return f"```{language}\n{code.strip(chr(10)).rstrip()}\n```"


def _plain(code: str) -> str:
    import html

    return html.unescape(re.sub(r"</?[a-zA-Z][^<>]{0,2000}>", "", code))


def _tidied(text: str) -> str:
    """No trailing blanks but the two that break a line, no empty list items, one blank line at most between blocks."""
    text = _TRAILING.sub(
        lambda match: "  " if match.group() == "  " and text[match.end() + 1 : match.end() + 2].strip() else "", text
    )
    text = re.sub(r"^[ \t]*(?:[-*+]|\d+[.)]|#{1,6})[ \t]*$\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return re.sub(
        r"\A(?:\s*(?:-{3,}|\*{3,}|_{3,})[ \t]*(?:\n|\Z))+|(?:\n[ \t]*(?:-{3,}|\*{3,}|_{3,})[ \t]*)+\s*\Z", "", text
    )
