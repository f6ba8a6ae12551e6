"""Directives and roles that docutils does not know, because Sphinx, Nikola, Pelican or a plugin of theirs defines them.

In: the text of a post. Out: nothing; afterwards docutils reads every directive and role in it. Code keeps its language,
what has prose inside keeps the prose, embeds and generated parts go (and are counted on the tree), roles keep their words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

_DIRECTIVE = re.compile(
    r"^[ \t]*+(?:(?:\d{1,9}\.|[-*+])[ \t]*+)?\.\.[ \t]++(?:\|[^|\n]{1,80}\|[ \t]+)?([A-Za-z][\w+.:-]{0,60}?)[ \t]?::(?=\s|$)",
    re.M,
)
_ROLE = re.compile(r":([A-Za-z][\w+.:-]{0,60}?):`|`:([A-Za-z][\w+.:-]{0,60}?):")
_CODE = {"code", "code-block", "sourcecode", "ipython", "prompt", "console", "highlight-code", "code_block", "terminal"}
_SAID = {"author", "tags", "categories", "category", "language"}  # Tinkerer's front matter
_GONE = {
    "youtube", "vimeo", "soundcloud", "soundcloud_playlist", "bandcamp", "media", "gist", "listing", "slides", "gallery",
    "chart", "post-list", "post_list", "postlist", "video", "audio", "iframe", "embed", "tweet", "twitter", "flickr",
    "slideshare", "speakerdeck", "contents", "toctree", "index", "include", "literalinclude", "raw", "html", "highlight",
    "comments", "more", "update", "disqus", "youtube-embed", "sectnum", "meta", "tabularcolumns", "plot", "graphviz",
    "digraph", "raw-html", "codeauthor", "sectionauthor", "mermaid", "notebook", "target-notes", "footer",
    "header", "csv-include", "currentmodule", "module", "default-domain", "only-html", "bibliography", "vimeo-embed",
}  # fmt: skip
_KNOWN_ROLES = {
    "emphasis", "strong", "literal", "code", "math", "subscript", "sub", "superscript", "sup", "title-reference", "title",
    "t", "pep", "rfc", "pep-reference", "rfc-reference", "abbreviation", "ab", "acronym", "ac",
}  # fmt: skip
_LITERAL_ROLES = {
    "func", "function", "class", "meth", "method", "mod", "module", "attr", "attribute", "data", "exc", "obj", "const",
    "file", "samp", "command", "program", "option", "envvar", "makevar", "mimetype", "regexp", "keyword", "type", "macro",
    "member", "var", "pyobj", "lineno", "code-inline", "setting", "djadmin", "tfilter", "ttag", "cmd", "bash", "python",
}  # fmt: skip


class _Any(dict[str, Callable[[str], str]]):
    """Options of any name, each with any value."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Callable[[str], str]:
        return lambda value: value or ""


def learn(text: str) -> None:
    """Let docutils read the directives and roles in `text`."""
    from docutils.parsers.rst import directives, roles

    for name in {match.lower() for match in _DIRECTIVE.findall(text)}:
        if made := _directive(name):
            directives.register_directive(name, made)
    names = {(before or after).lower() for before, after in _ROLE.findall(text)}
    for name in names - _KNOWN_ROLES:
        roles.register_local_role(name, _role)


@cache
def _directive(name: str) -> Any:
    """The class for a directive, or None where docutils' own is right."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives
    from docutils.parsers.rst.directives.images import Figure, Image

    class Code(Directive):
        optional_arguments, final_argument_whitespace, has_content, option_spec = 1, True, True, _Any()

        def run(self) -> list[nodes.Node]:
            code = "\n".join(self.content)
            language = (self.arguments or [""])[0].split()[0:1]
            return [nodes.literal_block(code, code, classes=["code", *language])]

    class Gone(Directive):
        optional_arguments, final_argument_whitespace, has_content, option_spec = 1, True, True, _Any()

        def run(self) -> list[nodes.Node]:
            document: Any = self.state.document
            left: Any = getattr(document, "left_out", Counter())
            left[name] += 1
            document.left_out = left
            return []

    class Said(Directive):
        optional_arguments, final_argument_whitespace, has_content, option_spec = 1, True, True, _Any()

        def run(self) -> list[nodes.Node]:
            """ablog's `.. post:: May 12, 2014` with options, Tinkerer's `.. tags:: a, b`."""
            document: Any = self.state.document
            said = getattr(document, "said", {})
            value = " ".join(self.arguments)
            said.update(self.options if name == "post" else {name: "" if value in ("default", "none") else value})
            if name == "post" and value:
                said["date"] = value
            document.said = said
            return []

    class Prose(Directive):
        optional_arguments, final_argument_whitespace, has_content, option_spec = 1, True, True, _Any()

        def run(self) -> list[nodes.Node]:
            if not self.content:
                return Gone.run(self)  # type: ignore[arg-type]
            inside = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, inside)
            return list(inside.children)

    class Picture(Image):
        option_spec = _Any()

        def run(self) -> list[nodes.Node]:
            node = nodes.image(uri="".join(self.arguments[0].split()), alt=self.options.get("alt", ""))
            return [node]

    class Captioned(Figure):
        option_spec = _Any()

        def run(self) -> list[nodes.Node]:
            inside = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, inside)
            node = nodes.image(uri="".join(self.arguments[0].split()), alt=self.options.get("alt", ""))
            return [nodes.paragraph("", "", node), *inside.children]

    own: dict[str, Any] = dict.fromkeys(_CODE, Code) | dict.fromkeys(_GONE, Gone) | dict.fromkeys(_SAID, Said)
    own |= {"post": Said, "image": Picture, "thumbnail": Captioned, "figure": Captioned}
    if name in own:
        return own[name]
    if name in vars(directives)["_directive_registry"]:
        return None
    return Prose


def _role(name: str, rawtext: str, text: str, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    """The words of a role: `words <target>` are its words; ~a.b.C is C; code stays code."""
    from docutils import nodes, utils

    text = utils.unescape(text)
    titled = re.match(r"(.+?)\s*<[^<>]*>$", text, re.DOTALL)
    words = titled.group(1) if titled else text.lstrip("!")
    if words.startswith("~"):
        words = words[1:].rpartition(".")[2]
    kind = name.lower().rpartition(":")[2]
    if kind in ("raw", "raw-html", "html"):
        return [], []
    if kind in ("kbd", "strong", "guilabel", "menuselection"):
        return [nodes.Text(words)], []
    if kind == "del":
        return [nodes.Text(words)], []
    if kind in _LITERAL_ROLES or name.startswith(("py:", "c:", "cpp:", "js:")):
        return [nodes.literal(rawtext, words)], []
    if kind == "doc" and not titled:
        words = re.sub(r"[-_]+", " ", words.rstrip("/").rpartition("/")[2])
    return [nodes.Text(words)], []
