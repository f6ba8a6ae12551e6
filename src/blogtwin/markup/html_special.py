"""Elements of HTML that need a look at what they are: formulas, pictures, raised text, hidden parts, permalinks.

In: one element. Out: what it is, or the token that stands for it in Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blogtwin.markup.html_inline import Kind, formula
from blogtwin.markup.html_parse import Node, classes, name_set, text_of

Attributes = Mapping[str, str | None]

# What stands in the body of posts, in feeds too, and is neither text nor the author's.
_NO_TEXT = name_set(
    "sr-only visually-hidden screen-reader-text screen-reader-only sharedaddy jp-relatedposts jp-post-flair "
    "feedflare addtoany_share_save_container a2a_kit addthis_toolbox share-buttons social-share ssba essb_links "
    "katex-html mathjax mathjax_preview mathjax_display mathjax_svg mathjax_chtml toc table-of-contents "
    "toc_container ez-toc-container lwptoc wp-block-table-of-contents subscription-widget-wrap "
    "graf--mixtapeembed subscription-widget-wrap-editor button-wrapper wp-block-buttons wp-block-button captioned-button-wrap"
)
_NO_TEXT_IDS = frozenset(["toc", "table-of-contents", "toc_container", "jp-relatedposts", "jp-post-flair"])
_HIDING = re.compile(r"(?:^|;)(?:display:none|(?:left|top|text-indent):-\d{4,}px)")
_PERMALINK = re.compile(r"^[¶#§🔗⚓∞\s\u200b]*$")
_PERMALINK_CLASSES = name_set(
    "anchor headerlink header-anchor heading-anchor anchorjs-link permalink headline-hash zola-anchor"
)
_SUPERSCRIPTS = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_ORDINAL = re.compile(r"^(?:st|nd|rd|th|e|er|re|ère|ème|o|a|º|ª|tm|sm|®|™|©|\W+)$", re.IGNORECASE)
_TEX_CLASSES = frozenset(["latex", "tex", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display"])


def is_hidden(node: Node, attributes: Attributes) -> bool:
    """Whether no reader sees the element, or it is machinery that every such post carries."""
    if "hidden" in attributes or attributes.get("id") in _NO_TEXT_IDS:
        return True
    if (style := attributes.get("style")) and node.tag != "script" and style_hides(style):
        return True
    return "class" in attributes and not _NO_TEXT.isdisjoint(classes(node)) and node.tag != "body"


def style_hides(style: str) -> bool:
    """Whether a style attribute takes its element away, or puts it where no screen reaches."""
    return _HIDING.search(style.replace(" ", "").lower()) is not None


def as_token(node: Node, attributes: Attributes, in_heading: bool) -> tuple[Kind, str, bool] | None:
    """(kind, Markdown, whether it is a block) for a formula or a tick box; ("text", "", False) for what says nothing."""
    tag = node.tag
    if tag == "script":
        kind = (attributes.get("type") or "").lower()
        if not kind.startswith("math/tex"):
            return "text", "", False
        return _formula(text_of(node), "mode=display" in kind.replace(" ", ""), in_heading)
    if tag == "input":
        ticked = attributes.get("type") == "checkbox" and "disabled" in attributes
        return ("raw", "[x] " if "checked" in attributes else "[ ] ", False) if ticked else ("text", "", False)
    if tag == "math":
        tex = _annotation(node) or attributes.get("alttext") or ""
        return _formula(tex, attributes.get("display") == "block", in_heading) if tex else None
    if tag in ("span", "div", "mjx-container") and "class" in attributes:
        names = classes(node)
        if "katex" in names or "katex-display" in names or "mjx" in names or tag == "mjx-container":
            parent = node.parent
            display = "katex-display" in names or (parent is not None and "katex-display" in classes(parent))
            if tex := _annotation(node):
                return _formula(tex, display, in_heading)
    return None


def emphasis(attributes: Attributes) -> str | None:
    """What a style attribute says that a mark would say."""
    style = (attributes.get("style") or "").lower().replace(" ", "")
    if "font-weight:bold" in style or "font-weight:700" in style:
        return "strong"
    return "em" if "font-style:italic" in style else None


def is_plain(node: Node) -> bool:
    """A <b> that is none: Google Docs wraps whole documents so; and icons, which are drawn by an empty <i>."""
    style = (node.attributes.get("style") or "").lower().replace(" ", "")
    return "font-weight:normal" in style or "font-style:normal" in style or "font-weight:400" in style


def is_permalink(node: Node, href: str) -> bool:
    """The sign beside a heading that links to it."""
    words = text_of(node).strip()
    marked = len(words) < 3 and not _PERMALINK_CLASSES.isdisjoint(classes(node))
    return "#" in href and (marked or _PERMALINK.match(words) is not None)


def is_block_of_code(node: Node) -> bool:
    """<code> with lines of its own outside of <pre>."""
    return node.css_first("br") is not None or "white-space:pre" in (node.attributes.get("style") or "").replace(
        " ", ""
    )


def raised(node: Node) -> str | None:
    """x<sup>2</sup> → ², 5<sup>th</sup> → th, x<sup>k+1</sup> → ^(k+1), or None where it holds more than that."""
    text = text_of(node).strip()
    if not text:
        return ""
    return None if node.css_first("a") is not None else shifted(text, node.tag == "sup")


def shifted(text: str, up: bool) -> str | None:
    """Words above (`up`) or below the line, without tags; None where they are more than a sign or two."""
    table = _SUPERSCRIPTS if up else _SUBSCRIPTS
    if len(text) > 12 or not text:
        return None
    if all(ord(character) in table for character in text):
        return text.translate(table)
    if up and _ORDINAL.match(text):
        return text
    if re.search(r"\s", text):
        return None
    sign = "^" if up else "_"
    return f"{sign}{text}" if text.isalnum() else f"{sign}({text})"


def picture(attributes: Attributes) -> tuple[Kind, str]:
    """![words](address); an emoji drawn as a picture is its character, a formula its TeX; a counter is nothing."""
    alt = " ".join((attributes.get("alt") or "").split())
    names = (attributes.get("class") or "").lower().split()
    if alt and ("emoji" in names or "wp-smiley" in names):
        return "text", alt
    if alt and not _TEX_CLASSES.isdisjoint(names):
        return "raw", formula(re.sub(r"^\{\\displaystyle (.*)\}$", r"\1", alt.strip("$")))
    source = (attributes.get("src") or "").strip()
    if source.startswith("data:") or not source:
        source = (
            attributes.get("data-src") or attributes.get("data-lazy-src") or attributes.get("data-original") or ""
        ).strip()
    if (attributes.get("width"), attributes.get("height")) in (("1", "1"), ("0", "0")) or not (source or alt):
        return "text", ""
    source = re.sub(r"\s", "%20", source).replace("(", "%28").replace(")", "%29")
    return "raw", f"![{_words(alt)}]({source})"


def captioned(picture_line: str, caption: str) -> str:
    """The last picture of a line of Markdown with `caption` as its words."""
    head, sign, tail = picture_line.rpartition("![")
    _, middle, address = tail.partition("](")
    return f"{head}![{_words(caption)}]({address}" if sign and middle else f"{picture_line}\n\n{caption}"


def _words(text: str) -> str:
    text = re.sub(r"\]\([^()\s]*\)", "", text)
    return " ".join(re.sub(r"(?<!\\)([\[\]])", "", text).split())


def _formula(tex: str, display: bool, in_heading: bool) -> tuple[Kind, str, bool]:
    return "raw", formula(tex, display and not in_heading), display and not in_heading


def _annotation(node: Node) -> str:
    found = node.css_first('annotation[encoding="application/x-tex"]')
    return text_of(found) if found is not None else ""
