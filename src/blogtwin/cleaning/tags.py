"""The HTML that authors write inside Markdown → Markdown. In: a parsed text. Out: edits of it.

Only known element names count as tags, so that `Option<T>`, `Vec<u8>`, <stdio.h> and <your-name> stay what they are. Tables,
lists and other structures are handed whole to markup.html; a lone tag becomes its Markdown or goes.
"""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass

from blogtwin.cleaning.edits import Edits
from blogtwin.cleaning.links import BACK
from blogtwin.markup.captions import is_prose
from blogtwin.markup.html import to_markdown
from blogtwin.markup.html_special import style_hides
from blogtwin.markup.markdown import Parsed, Ranges


def _names(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_EMBEDS = _names(
    "script style iframe svg video audio object canvas form button noscript template select embed map math picture"
)
_WHOLE = _names("table ul ol dl")
_INLINE = _names(
    "a abbr acronym area b base bdi bdo big cite code data del dfn em embed font i img input ins kbd label link mark meta",
    "nobr param q rp rt ruby s samp small source span strike strong sub sup time track tt u var wbr",
)
_BLOCK = _names(
    "address article aside blockquote body br caption center col colgroup dd details div dl dt fieldset figcaption figure",
    "footer h1 h2 h3 h4 h5 h6 head header hr html legend li main menu nav ol p pre section summary table tbody td tfoot th",
    "thead title tr ul",
)
_FREE = _names("p li td th tr dt dd br hr img input wbr")  # closed by nothing, and tags all the same
_MARKS = {
    "b": "**",
    "strong": "**",
    "i": "*",
    "em": "*",
    "cite": "*",
    "dfn": "*",
    "s": "~~",
    "del": "~~",
    "strike": "~~",
}
_SPOKEN_OF = _names("html head body title script style")  # put it before </head>
_INDENT = re.compile(r"\n[ \t]+(?=\S)")
_MOST = 30_000  # tags: a text with more is nobody's post, and is left as it is after them
_LINE = 20_000  # characters: as far back as a line's beginning is looked for
_QUOTE_MARK = re.compile(r"^[ \t]*> ?", re.MULTILINE)
_CODE = frozenset(("code", "kbd", "samp", "tt"))
_TAG = re.compile(r"<!--|<(/?)([a-zA-Z][\w-]*+)((?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+)>", re.DOTALL)
_DECLARATION = re.compile(r"<!doctype\b[^<>]*>|<\?(?:xml|php)\b[^<>]*\?>", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:lang(?:uage)?[-:]|brush:\s*|\blang=[\"']?|highlight-)([\w+#-]+)")
_STYLE = re.compile(r"\bstyle=(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_CAPTION = re.compile(r"<figcaption\b[^<>]{0,500}>", re.IGNORECASE)
_VALUES = re.compile(r"=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"']+)")
_NAMED_LANGUAGE = re.compile(r"class=[\"']?([\w+#-]+)[\"']?\s*>")


@dataclass(slots=True)
class _Tag:
    start: int
    end: int
    name: str
    closes: bool
    rest: str
    block: bool  # it stands in a block of HTML, not in a sentence
    partner: int = -1  # the index of the tag that closes it, or that it closes


def edit_tags(parsed: Parsed, edits: Edits, verbatim: Ranges) -> None:
    """Write into `edits` what becomes of every tag and comment of `parsed`."""
    tags = _paired(_tags(parsed, edits, verbatim))
    done = 0
    for tag in tags:
        if tag.start >= done:
            done = max(done, _edit(parsed.text, edits, tag, tags))


def _tags(parsed: Parsed, edits: Edits, verbatim: Ranges) -> list[_Tag]:
    text = parsed.text
    places = [(block.start, block.end, True) for block in parsed.blocks if block.kind == "html"]
    places += [(start, end, False) for start, end in parsed.tags]
    tags: list[_Tag] = []
    for start, end, block in sorted(places)[:_MOST]:
        if block:  # indentation that HTML does not see and Markdown would call code
            for blank in _INDENT.finditer(text, start, end):
                edits.put(blank.start() + 1, blank.end(), "")
        if text.startswith(("<!d", "<!D", "<?"), start) and (said := _DECLARATION.match(text, start, end)):
            edits.cut(said.start(), said.end(), "HTML")
        at = start
        while len(tags) < _MOST and (match := _TAG.search(text, at, end)):
            at = match.end()
            if match[2] is None:
                close = text.find("-->", at, end)
                if close < 0:
                    break
                at = close + 3
                edits.cut(match.start(), at, "comments")
                edits.deep |= bool(text[at : at + 200].split("\n")[0].strip())  # Markdown after it was HTML till now
            elif not verbatim.hold(match.start()):
                tags.append(_Tag(match.start(), at, match[2].lower(), bool(match[1]), match[3], block))
    return tags


def _paired(tags: list[_Tag]) -> list[_Tag]:
    """The tags that are some, each with its partner: an unknown name is none, nor a known one that nothing closes."""
    opened: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        if not tag.closes:
            opened.setdefault(tag.name, []).append(number)
        elif opened.get(tag.name):
            tag.partner = opened[tag.name].pop()
            tags[tag.partner].partner = number
    return tags


def _is_tag(tag: _Tag, text: str) -> bool:
    attributes = tag.rest.strip("/ \n\t")
    if tag.name in _SPOKEN_OF and tag.partner < 0 and "=" not in attributes:
        return False
    if tag.name not in _INLINE and tag.name not in _BLOCK and tag.name not in _EMBEDS:
        return "-" in tag.name and (tag.partner >= 0 or "=" in attributes)  # <twitter-card>, not <your-name>
    if tag.partner >= 0 or tag.closes or "=" in attributes or tag.rest.endswith("/"):
        return True
    # Vec<i> is a type, and a <link> that has no address stands for one.
    return (tag.name in _FREE and not (text[tag.start - 1 : tag.start].isalnum() and len(tag.name) == 1)) or tag.block


def _edit(text: str, edits: Edits, tag: _Tag, tags: list[_Tag]) -> int:
    """One tag, or the element that it opens; → where the next tag may begin."""
    if not _is_tag(tag, text):
        return tag.end
    partner = tags[tag.partner] if tag.partner >= 0 else None
    if partner is None or tag.closes:
        _lone(text, edits, tag)
        return tag.end
    whole, inside = text[tag.start : partner.end], text[tag.end : partner.start]
    quoted = "\n" in whole and _in_quote(text, tag.start)
    if quoted:
        whole, inside = _QUOTE_MARK.sub("", whole), _QUOTE_MARK.sub("", inside)
    element = _element(tag, inside, whole)
    if element is None:
        _lone(text, edits, tag)
        return tag.end
    new, name = element
    edits.deep = True
    if quoted and new:
        new = "\n".join(f"> {line}".rstrip() for line in new.strip("\n").split("\n")).removeprefix("> ")
    edits.put(tag.start, partner.end, new, name or "HTML")
    return partner.end


def _element(tag: _Tag, inside: str, whole: str) -> tuple[str, str] | None:
    """(its Markdown, the name of the cut where its words go) of an element that is changed whole; None: tag by tag."""
    name = tag.name
    if name in _EMBEDS:
        return "", "images" if name in ("picture", "svg") else "embeds"
    if tag.rest and _hidden(tag.rest):
        return "", "hidden text"
    if name == "a" and BACK.fullmatch(inside):
        return "", "addresses"
    if name == "pre":
        return f"\n\n{_preformatted(whole, inside)}\n\n", ""
    if name in _CODE and "\n\n" not in inside:
        return _code_span(inside), ""
    if name == "figure":
        if "<pre" in inside or "<table" in inside or "```" in inside or "<blockquote" in inside:
            return None
        return None if is_prose(_caption(inside)) else ("", "images")
    if name in _WHOLE:
        if name != "table" and tag.block is False:
            return None
        return f"\n\n{to_markdown(whole).strip()}\n\n", ""
    if name == "blockquote":
        if tag.block and "\n\n" not in inside:
            return f"\n\n{to_markdown(whole).strip()}\n\n", ""
        lines = textwrap.dedent(inside.strip("\n")).strip().split("\n")
        return "\n\n" + "\n".join(f"> {line}".rstrip() for line in lines) + "\n\n", ""
    if name[0] == "h" and name[1:].isdigit():
        words = " ".join(inside.split())
        return (f"\n\n{'#' * int(name[1:])} {words}\n\n" if words else "\n\n"), ""
    if name == "sup":
        return _raised(inside), ""
    if name in _MARKS and not _emphasises(inside):
        return (inside, "")
    if name in _MARKS and "<" not in inside:
        words = inside.strip()
        lead, tail = inside[: len(inside) - len(inside.lstrip())], inside[len(inside.rstrip()) :]
        return f"{lead}{_MARKS[name]}{words}{_MARKS[name]}{tail}", ""
    return None


def _caption(figure: str) -> str:
    """What stands under the picture, up to 3,000 characters of it."""
    begin = _CAPTION.search(figure)
    return figure[begin.end() : begin.end() + 3000].partition("</figcaption")[0] if begin else ""


def _hidden(attributes: str) -> bool:
    style = _STYLE.search(attributes)
    return (style is not None and style_hides(style[1] or style[2] or "")) or "hidden" in _VALUES.sub(
        "", attributes
    ).split()


def _lone(text: str, edits: Edits, tag: _Tag) -> None:
    """A tag by itself: its Markdown, a blank line, or nothing."""
    name, new = tag.name, ""
    if name == "br":
        new = "" if text[tag.end : tag.end + 1] == "\n" else "\n"
        new = f"  {new}" if text[tag.start - 1 : tag.start] not in ("\n", "") else new
        line = text.rfind("\n", max(0, tag.start - _LINE), tag.start) + 1
        if text[line : line + 80].lstrip().startswith("|"):
            new = " "
        elif new.endswith("\n") and _in_quote(text, tag.start):
            new += "> "
    elif name == "hr":
        new = "\n\n---\n\n"
    elif name in _MARKS and tag.partner >= 0:
        new = _MARKS[name]
    elif name == "q" and tag.partner >= 0:
        new = "”" if tag.closes else "“"
    elif name == "summary" and tag.partner >= 0:
        new = "**\n\n" if tag.closes else "\n\n**"
    elif name in _BLOCK and tag.block and not _in_quote(text, tag.start):
        new = "\n" if text[tag.end : tag.end + 1] == "\n" else "\n\n"
    edits.deep |= name != "br"
    edits.put(tag.start, tag.end, new, "images" if name == "img" else "HTML")


def _in_quote(text: str, at: int) -> bool:
    line = text.rfind("\n", max(0, at - _LINE), at) + 1
    return text[line : line + 80].lstrip().startswith(">")


def _emphasises(inside: str) -> bool:
    """Whether stars around these words would be emphasis: some words, in one paragraph."""
    return bool(re.sub(r"<[^<>]*>", "", inside).strip()) and "\n\n" not in inside and "*" not in inside


def _raised(inside: str) -> str:
    """10<sup>9</sup> → 10^9, 1<sup>st</sup> → 1st."""
    return f"^{inside}" if re.fullmatch(r"[-+]?\d+|[-+]?\d*[a-zA-Z]", inside) else inside


def _code_span(inside: str) -> str:
    words = " ".join(html.unescape(re.sub(r"</?[a-zA-Z][^<>]{0,500}>", "", inside)).split())
    if not words:
        return ""
    ticks = "`"
    while ticks in words:
        ticks += "`"
    pad = " " if words[0] == "`" or words[-1] == "`" else ""
    return f"{ticks}{pad}{words}{pad}{ticks}"


def _preformatted(whole: str, inside: str) -> str:
    """<pre> as a fenced block, in the language that its class or that of the <code> inside names."""
    opening = re.match(r"<[^<>]*>\s*(?:<code\b[^<>]*>)?", whole[:600], re.IGNORECASE)
    said = (_LANGUAGE.search(opening[0]) or _NAMED_LANGUAGE.search(opening[0])) if opening else None
    language = (
        said[1]
        if said and said[1] not in ("highlight", "code", "literal-block", "example", "src", "wp-block-code")
        else ""
    )
    code = re.sub(r"<br\s*/?>", "\n", inside)
    code = html.unescape(re.sub(r"</?[a-zA-Z][^<>]{0,2000}>", "", code)).replace("\u00a0", " ").strip("\n").rstrip()
    if not code.strip():
        return ""
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{language}\n{code}\n{fence}"
