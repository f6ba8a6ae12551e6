"""Code in HTML → the code as it was typed, and its language.

In: a <pre>, or a <code> of several lines, as a highlighter left it. Out: the code without the
highlighter's tags and line numbers.
"""

from __future__ import annotations

import re
from itertools import pairwise

from blogtwin.markup.html_parse import After, Node, classes, name_set, skip, walk

_GUTTERS = name_set(
    "gutter gl linenos lineno linenodiv line-numbers line-numbers-rows line-number linenumber line-num lnt ln "
    "rouge-gutter blob-num hljs-ln-numbers code-toolbar-item toolbar copy-button copy copybtn lntn"
)
_LANGUAGE = re.compile(r"^(?:language|lang|highlight-source|highlight-text|src|brush)[-:]([\w+#.-]+)$")
_BEFORE_NAME = name_set("sourcecode hljs brush: src prettyprint highlight code-block code")
_NO_NAMES = name_set(
    "none text plain plaintext plain-text nohighlight highlighter-rouge default literal-block highlighter "
    "highlight chroma codehilite notranslate code hljs sourcecode prettyprinted linenums prettyprint "
    "wp-block-code wp-block-preformatted src brush: undefined txt output example"
)
_BLOCKS = frozenset(["div", "p", "li", "tr"])


def is_gutter(node: Node) -> bool:
    """Whether an element holds line numbers or a copy button beside code."""
    attributes = node.attributes
    return (
        any(name in _GUTTERS for name in classes(node))
        or "data-line-number" in attributes
        or node.tag in ("button", "script", "style", "svg")
        or "user-select:none" in (attributes.get("style") or "").replace(" ", "")
    )


def code_of(node: Node) -> str:
    """The code below `node`, without blank lines around it."""
    out: list[str] = []

    def enter(child: Node) -> After | None:
        tag = child.tag
        if tag == "-text":
            out.append(child.text_content or "")
        elif tag == "br":
            out.append("\n")
        elif tag == "-comment" or is_gutter(child):
            return skip
        elif tag in _BLOCKS:
            return lambda: out.append("\n") if out and not out[-1].endswith("\n") else None
        return None

    walk(node, enter)
    lines = "".join(out).replace("\xa0", " ").replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    return "\n".join(line.rstrip() for line in lines)


def language_of(node: Node) -> str:
    """The language that the element, the <code> in it or one of the three around it names; "" where none does."""
    first = node.first_child
    around = [node]
    if first is not None and first.tag == "code":
        around.insert(0, first)
    for _ in range(3):
        parent = around[-1].parent
        if parent is None or parent.tag in ("body", "article", "main", "-document"):
            break
        around.append(parent)
    for element in around:
        if name := _named(element):
            return name
    return ""


def _named(node: Node) -> str:
    names = ("data-lang", "data-language", "data-code-block-lang")
    said = next((said for name in names if (said := node.attributes.get(name))), "").lower()
    if re.fullmatch(r"[\w+#.-]{1,30}", said) and said not in _NO_NAMES:
        return str(said)
    own = classes(node)
    for name in own:
        match = _LANGUAGE.match(name.rstrip(";"))
        if match and match.group(1) not in _NO_NAMES:
            return match.group(1)
    for before, name in pairwise(own):
        name = name.rstrip(";")
        if before in _BEFORE_NAME and name not in _NO_NAMES and re.fullmatch(r"[a-z][\w+#]{0,20}", name):
            return name.removeprefix("src-")
    return ""


def fenced(code: str, language: str) -> str:
    """A code block whose fence is longer than any inside."""
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", code, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
