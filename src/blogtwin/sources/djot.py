"""Djot posts. In: .dj files. Out: a Document whose text is Markdown.

Djot was made from Markdown by its author, and differs in a few marks: those are changed here, and the rest is left as it
was typed. A parser would have to write all of it again; those there are for Python are a wheel without a source (jotdown),
a name without a parser (djot 0.0.1), or for Python 3.12 alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from blogtwin.markup.html_special import shifted
from blogtwin.sources import front_matter
from blogtwin.sources.base import Document
from blogtwin.sources.compose import composed, text_of

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*(=?)([\w+#.-]*)[ \t]*$")
_DIV = re.compile(r"[ \t>]*:{3,}[ \t]*[\w-]*[ \t]*$")
_ATTRIBUTES = re.compile(r"[ \t>]*\{(?:[#.%][^{}]*|\w[\w-]*=[^{}]*)\}[ \t]*$")
_TERM = re.compile(r": (?=\S)")
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|\$\$`(?P<display>[^`]{1,1000})`|\$`(?P<tex>[^`]{1,500})`"
    r"|(?P<ticks>`+)(?P<code>[^`\n](?:[^\n]{0,500}?[^`\n])??)(?P=ticks)(?!`)(?P<raw>\{=\w+\})?"
    r"|(?P<gone>\{%[^{}%]{0,500}%\}|(?<=[\w\])*_`])\{[.#][^{}\n]{1,200}\}|(?<=[\])*_`])\{\w[\w-]*=[^{}\n]{1,200}\})"
    r"|\{(?P<mark>[_*=+^~-])(?P<inside>[^{}\n]{1,500}?)(?P=mark)\}"
    r"|(?<![\w*])\*(?P<strong>[^\s*](?:[^*\n]{0,500}[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<em>[^\s_](?:[^_\n]{0,500}[^\s_])?)_(?![\w_])"
    r"|\[(?P<span>[^\[\]\n]{1,500})\]\{[.#\w][^{}\n]{0,200}\}"
    r"|\^(?P<super>[^\s^~]{1,40})\^|~(?P<lower>[^\s^~]{1,40})~"
)
_AROUND = {"_": "*", "*": "**", "-": "~~"}
_MAX_DEPTH = 6


class DjotSource:
    """Djot, as the Markdown it grew from."""

    def read(self, path: Path) -> Document:
        text, remarks = text_of(path)
        front = front_matter.split(text)
        return composed("djot", _markdown(front.body), front.values, (*remarks, *front.remarks))


def _markdown(text: str) -> str:
    out: list[str] = []
    paragraph: list[str] = []
    fence, raw, term = "", False, False
    for line in text.split("\n"):
        begin = _FENCE.match(line)
        if fence:
            closes = begin and begin.group(1).startswith(fence) and not begin.group(3)
            if not raw:
                out.append(line)
            fence = "" if closes else fence
        elif begin:
            _close(paragraph, out)
            fence, raw = begin.group(1), bool(begin.group(2))
            if not raw:
                out.append(line[: begin.end(1)] + begin.group(3))
        elif _DIV.match(line):
            _close(paragraph, out)
            out.append("")
        elif _ATTRIBUTES.match(line):
            _close(paragraph, out)
        elif line.strip():
            if line.startswith("^ ") and (not paragraph or paragraph[-1].startswith("|")):  # what is said below a table
                _close(paragraph, out)
                out.append("")
                line = line[2:]
            if _TERM.match(line):
                line, term = line[2:], True
            elif term and line.startswith("  ") and not paragraph:
                while out and not out[-1]:
                    out.pop()
                line, term = ": " + line.strip(), False
            paragraph.append(line)
        else:
            _close(paragraph, out)
            out.append("")
    _close(paragraph, out)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out))


def _close(paragraph: list[str], out: list[str]) -> None:
    """Marks may span lines but not paragraphs."""
    if paragraph:
        text = _INLINE.sub(lambda match: _written(match, 0), "\n".join(paragraph))
        if text.strip():
            out.append(text)
        paragraph.clear()


def _written(match: re.Match[str], depth: int) -> str:
    group = match.groupdict()
    if group["escaped"]:
        return match.group()
    if group["display"] or group["tex"]:
        return f"$${group['display']}$$" if group["display"] else f"${group['tex']}$"
    if group["code"] is not None:
        return "" if group["raw"] else match.group()
    if group["gone"]:
        return ""
    if script := group["super"] or group["lower"]:
        return shifted(script, bool(group["super"])) or script
    mark = group["mark"] or ("*" if group["strong"] else "_" if group["em"] else "")
    words = group["inside"] or group["strong"] or group["em"] or group["span"] or ""
    if depth < _MAX_DEPTH:
        words = _INLINE.sub(lambda inner: _written(inner, depth + 1), words)
    around = _AROUND.get(mark, "")
    return f"{around}{words}{around}"
