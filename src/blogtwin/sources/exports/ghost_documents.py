"""The documents of Ghost's two editors → HTML. In: Lexical or Mobiledoc, as parsed JSON. Out: the HTML of its text.

What neither is text nor holds any (embeds, buttons, sign-up boxes) has no place in it.
"""

from __future__ import annotations

import html
from typing import Any

_MAX_DEPTH = 100
_FORMATS = ((1, "strong"), (2, "em"), (4, "s"), (16, "code"), (32, "sub"), (64, "sup"))


def lexical(document: dict[str, Any]) -> str:
    """The HTML of a Lexical document. Raises ValueError for one that is nested too deeply."""
    return _lexical(document["root"], 0)


def _lexical(node: dict[str, Any], depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    kind = str(node.get("type", "")).removeprefix("extended-")
    if kind == "text":
        return _formatted(str(node.get("text", "")), int(node.get("format") or 0))
    if kind == "linebreak":
        return "<br>"
    if kind in ("html", "image", "codeblock", "markdown", "horizontalrule", "callout", "toggle"):
        return _card(kind, node)
    inside = "".join(_lexical(child, depth + 1) for child in node.get("children") or ())
    match kind:
        case "link":
            return f'<a href="{html.escape(str(node.get("url", "")))}">{inside}</a>'
        case "heading":
            return _in(str(node.get("tag", "h2")), inside)
        case "list":
            return _in("ol" if node.get("listType") == "number" else "ul", inside)
        case "listitem":
            return _in("li", inside)
        case "quote" | "aside":
            return _in("blockquote", inside)
        case "paragraph":
            return _in("p", inside)
    return inside


def _formatted(text: str, format: int) -> str:
    text = html.escape(text)
    for bit, name in _FORMATS:
        if format & bit:
            text = _in(name, text)
    return text


def _card(kind: str, card: dict[str, Any]) -> str:
    match kind:
        case "html":
            return str(card.get("html", ""))
        case "markdown":
            return _rendered(str(card.get("markdown", "")))
        case "image":
            picture = (
                f'<img src="{html.escape(str(card.get("src", "")))}" alt="{html.escape(str(card.get("alt") or ""))}">'
            )
            return _in("figure", f"{picture}<figcaption>{card.get('caption') or ''}</figcaption>")
        case "code" | "codeblock":
            language, code = html.escape(str(card.get("language") or "")), html.escape(str(card.get("code", "")))
            return f'<pre><code class="language-{language}">{code}</code></pre>'
        case "hr" | "horizontalrule":
            return "<hr>"
        case "callout":
            return _in("blockquote", str(card.get("calloutText") or ""))
        case "toggle":
            return _in("h4", str(card.get("heading") or "")) + str(card.get("content") or "")
    return ""


def mobiledoc(document: dict[str, Any]) -> str:
    """The HTML of a Mobiledoc 0.3 document."""
    out: list[str] = []
    for section in document["sections"]:
        match section:
            case [1, str(tag), list(markers), *_]:
                out.append(_in("blockquote" if tag == "aside" else tag, _markers(document, markers)))
            case [3, str(tag), list(items), *_]:
                out.append(_in(tag, "".join(_in("li", _markers(document, item)) for item in items)))
            case [10, int(index), *_]:
                kind, card = document["cards"][index][:2]
                out.append(_card(str(kind).replace("card-markdown", "markdown"), card))
    return "".join(out)


def _markers(document: dict[str, Any], markers: list[list[Any]]) -> str:
    out: list[str] = []
    opened: list[str] = []
    for kind, opening, closing, value in (marker[:4] for marker in markers):
        for index in opening:
            tag, *attributes = document["markups"][index]
            pairs = attributes[0] if attributes else []
            href = next((pairs[at + 1] for at in range(0, len(pairs) - 1, 2) if pairs[at] == "href"), "")
            out.append(f'<{_tag(tag)} href="{html.escape(str(href))}">' if tag == "a" else f"<{_tag(tag)}>")
            opened.append(_tag(tag))
        if kind == 0:
            out.append(html.escape(str(value)))
        elif document["atoms"][value][0] == "soft-return":
            out.append("<br>")
        out += [f"</{opened.pop()}>" for _ in range(min(int(closing), len(opened)))]
    return "".join(out)


def _rendered(markdown: str) -> str:
    """The HTML of a Markdown card, as the blog shows it."""
    import pyromark

    known = pyromark.Options
    options = known.ENABLE_TABLES | known.ENABLE_FOOTNOTES | known.ENABLE_STRIKETHROUGH
    return pyromark.html(markdown, options=options)


def _in(tag: str, inside: str) -> str:
    tag = _tag(tag)
    return f"<{tag}>{inside}</{tag}>"


def _tag(name: str) -> str:
    """A name from a file as the name of an element, which holds nothing but letters and digits."""
    return name.lower() if name.isalnum() else "div"
