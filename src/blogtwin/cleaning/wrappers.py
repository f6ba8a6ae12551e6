"""What dialects of Markdown put around prose: ::: divs, !!! admonitions, > [!note] callouts, {: attributes}, MDX.

In: Markdown. Out: the prose without its wrapper. A title that the author gave a note stays, in bold.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

from blogtwin.cleaning.edits import Cuts, Edits
from blogtwin.markup.markdown import Parsed, Ranges, parse

_DIV = re.compile(r"^[ \t>]*:{3,}([^\n]*)$", re.MULTILINE)
_DIV_TITLE = re.compile(r"(?:\{[^}]*\}|[\w-]+)?[ \t]*(?:\[([^\]]*)\])?([^{}\n]*)")
_ADMONITION = re.compile(
    r"^(?:!!!|\?\?\?\+?)[ \t]+[^\"\n]*(?:\"([^\"\n]*)\")?[^\n]*\n((?:(?:[ \t]*\n)?(?:[ ]{4}|\t).*(?:\n|\Z))*)",
    re.MULTILINE,
)
_CALLOUT = re.compile(r"^(?:>[ \t]?)\[!\w+(?:\|[^\]\n]*)?\][+-]?[ \t]*(.*)\n((?:>.*(?:\n|\Z))*)", re.MULTILINE)
_ATTRIBUTES = re.compile(r"[{](?:::|:(?![a-zA-Z]+[ \t][^=]*\})|[#.](?=[\w-])|[\w-]+=)[^{}\n]*\}")
_TOC_LINE = re.compile(r"[ \t]*(?:[-*+]|1\.)[ \t]+[^\n]*\n[ \t]*\Z")

_MODULE = re.compile(
    r"(?:(?<=\n\n)|\A)(?:(?:"
    r"import[ \t]+(?:[\w*{][^'\"\n]*from[ \t]+)?['\"][^'\"\n]+['\"];?|"
    r"import[ \t]+(?:\w{1,60},[ \t]*)?\{\n(?:[^{}\n]*\n){1,40}?\}[ \t]*from[ \t]*['\"][^'\"\n]+['\"];?|"
    r"export[ \t]+(?:const|let|default|function|async|\*|\{)[^\n]*(?:\n(?!\n)[^\n]*){0,200}"
    r")[ \t]*(?:\n|\Z))+"
)
_JSX_BLANK = re.compile(r"\{(?:' '|\" \")\}")
_MODULE_MARKS = ("{/*", "{' '}", '{" "}', "\n\nimport ", "\n\nexport ")
_JSX_COMMENT = re.compile(r"\{/\*"), re.compile(r"\*/\}")
_COMPONENT = re.compile(r"<(/?)([A-Z]\w+(?:\.\w+)*)(?=[\s/>])")
_FRAGMENT = re.compile(r"^[ \t]*</?>[ \t]*$", re.MULTILINE)
_MARKED = frozenset(")]`*_>")  # the last sign of a link, a picture, code, emphasis, a tag
_BROKEN = 50  # tags without an end: more have only hostile texts
_DEEPEST = 20  # components in components
_LONGEST = 50_000  # characters: no component around more is written with indentation
_FAR = 5000  # characters of one component's tag


def unwrapped(text: str, cuts: Cuts) -> str:
    """`text` without the wrappers; each is looked for only where its mark is."""
    for mark, change in _CHANGES:
        if mark in text:
            text = change(text, cuts)
    if any(mark in text for mark in _MODULE_MARKS) or text.startswith(("import ", "export ")):
        text = _modules(text, cuts)
    return _components(text, cuts) if "<" in text and _COMPONENT.search(text) else text


def _changed(text: str, cuts: Cuts, change: Callable[[Edits, Ranges], None]) -> str:
    edits = Edits(text, cuts)
    change(edits, parse(text).verbatim())
    return edits.text_now()


def _divs(text: str, cuts: Cuts) -> str:
    def change(edits: Edits, verbatim: Ranges) -> None:
        for match in _DIV.finditer(text):
            if verbatim.hold(match.end() - 1):
                continue
            said = _DIV_TITLE.match(match[1].strip().rstrip(":").strip())
            title = (said[1] or said[2] or "").strip() if said else ""
            edits.put(match.start(), match.end(), f"\n**{title}**\n" if title else "\n", "containers")

    return _changed(text, cuts, change)


def _admonitions(text: str, cuts: Cuts) -> str:
    def change(edits: Edits, verbatim: Ranges) -> None:
        for match in _ADMONITION.finditer(text):
            if not verbatim.hold(match.start()):
                title = f"**{match[1]}**\n\n" if match[1] else ""
                body = re.sub(r"^(?:    |\t)", "", match[2], flags=re.MULTILINE)
                edits.put(match.start(), match.end(), f"{title}{body.strip(chr(10))}\n\n", "containers")

    return _changed(text, cuts, change)


def _callouts(text: str, cuts: Cuts) -> str:
    """A callout is the author's own note, so what is left is no quotation."""

    def change(edits: Edits, verbatim: Ranges) -> None:
        for match in _CALLOUT.finditer(text):
            if not verbatim.hold(match.start()):
                title = f"**{match[1].strip()}**\n\n" if match[1].strip() else ""
                body = re.sub(r"^> ?", "", match[2], flags=re.MULTILINE)
                edits.put(match.start(), match.end(), f"\n{title}{body.strip(chr(10))}\n\n", "containers")

    return _changed(text, cuts, change)


def edit_attributes(parsed: Parsed, edits: Edits, verbatim: Ranges) -> None:
    """{: .class} of kramdown and Pandoc after a block, a heading or what is marked in a sentence: cut."""
    text = parsed.text
    headings = Ranges((block.start, block.end) for block in parsed.blocks if block.kind == "heading")
    for match in _ATTRIBUTES.finditer(text):
        start, end = match.span()
        if verbatim.hold(start) or verbatim.hold(end - 1):
            continue
        near = max(0, start - 2000)
        before = text.rfind("\n", near, start) + 1 or near
        opens = not text[before:start].strip(" \t>")
        closes = text[end : end + 1] in ("", "\n") or not text[end : end + 80].split("\n")[0].strip(" \t#")
        if opens and closes and "toc" in match.group().lower():
            above = text.rfind("\n", 0, max(before - 1, 0)) + 1
            edits.cut(above if _TOC_LINE.fullmatch(text, above, start) else start, end, "table of contents")
        elif (
            (opens and closes and text[start + 1] == ":")
            or text[start - 1 : start] in _MARKED
            or text.startswith("{::", start)
        ):
            edits.cut(start, end, "attributes")
        elif closes and headings.hold(start):
            edits.cut(start - (len(text[before:start]) - len(text[before:start].rstrip())), end, "attributes")


def _modules(text: str, cuts: Cuts) -> str:
    def change(edits: Edits, verbatim: Ranges) -> None:
        for match in _MODULE.finditer(text):
            if not verbatim.hold(match.start()):
                edits.cut(match.start(), match.end(), "components")
        for match in _JSX_BLANK.finditer(text):
            if not verbatim.hold(match.start()):
                last = text[match.end() : match.end() + 1] == "\n"
                edits.put(match.start(), match.end(), "" if last else " ", "components")
        opening, closing = _JSX_COMMENT
        at = 0
        while (begin := opening.search(text, at)) and (end := closing.search(text, begin.end())):
            at = end.end()
            if not verbatim.hold(begin.start()):
                edits.cut(begin.start(), end.end(), "comments")

    return _changed(text, cuts, change)


def _components(text: str, cuts: Cuts) -> str:
    """<Tweet id="1" /> goes, of <Note>words</Note> the words stay; Vec<String> is a type."""
    closed = set(re.findall(r"</([A-Z][\w.]*)\s*>", text))

    def change(edits: Edits, verbatim: Ranges) -> None:
        opened: list[tuple[str, int, int]] = []
        done = broken = 0
        for match in _COMPONENT.finditer(text):
            start, name = match.start(), match[2]
            if start < done or verbatim.hold(start) or (start and text[start - 1].isalnum()):
                continue
            end = _tag_end(text, match.end())
            if end < 0:
                broken += 1
                if broken > _BROKEN:
                    return
                continue
            done = end
            if match[1]:
                if opened and opened[-1][0] == name:
                    _children(edits, opened.pop()[1:], (start, end))
            elif text[end - 2] == "/":
                edits.cut(start, end, "components")
            elif name in closed and len(opened) < _DEEPEST:
                opened.append((name, start, end))

    text = _changed(text, cuts, change)
    return _FRAGMENT.sub("", text)


def _children(edits: Edits, opening: tuple[int, int], closing: tuple[int, int]) -> None:
    inside = edits.text[opening[1] : closing[0]]
    if "\n" not in inside or len(inside) > _LONGEST:
        edits.cut(*opening, "components")
        edits.cut(*closing, "components")
        return
    dedented = textwrap.dedent(inside.strip("\n"))
    if dedented.rstrip() == inside.strip("\n").rstrip():  # as it stands; wrappers inside it are cut in the same go
        edits.put(*opening, "\n", "components")
        edits.put(*closing, "\n", "components")
    else:
        edits.put(opening[0], closing[1], f"\n{dedented.rstrip()}\n", "components")


def _tag_end(text: str, at: int) -> int:
    """After the `>` of a tag whose name ends at `at`, braces and quotes balanced; -1 where there is none near."""
    depth, quote = 0, ""
    for place in range(at, min(len(text), at + _FAR)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`" and (depth or sign != "`"):
            quote = sign
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
        elif sign == ">" and depth <= 0:
            return place + 1
        elif sign == "<" and depth <= 0:
            return -1
    return -1


_CHANGES = (
    (":::", _divs),
    ("!!! ", _admonitions),
    ("??? ", _admonitions),
    ("???+ ", _admonitions),
    ("> [!", _callouts),
)
