"""Who reads which files. Out: a Source for every file name ending, in lower case and without the dot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module

from blogtwin.sources.base import Source

_READERS = {  # the module beside this one, its class, and what it reads
    ("markdown", "MarkdownSource"): ("md", "markdown", "mdx", "rmd"),
    ("text", "TextSource"): ("txt",),
    ("docx", "DocxSource"): ("docx",),
    ("html", "HtmlSource"): ("html", "htm"),
    ("rst", "RstSource"): ("rst",),
    ("org", "OrgSource"): ("org",),
    ("notebook", "NotebookSource"): ("ipynb",),
    ("asciidoc", "AsciidocSource"): ("adoc", "asciidoc"),
    ("djot", "DjotSource"): ("dj",),
}
_BY_ENDING = {ending: reader for reader, endings in _READERS.items() for ending in endings}


class _Registry(Mapping[str, Source]):
    """A reader is loaded with the first file that needs it: most blogs have one format."""

    def __getitem__(self, ending: str) -> Source:
        return _source(*_BY_ENDING[ending])

    def __iter__(self) -> Iterator[str]:
        return iter(_BY_ENDING)

    def __len__(self) -> int:
        return len(_BY_ENDING)


REGISTRY: Mapping[str, Source] = _Registry()


@lru_cache
def _source(module: str, name: str) -> Source:
    source: Source = getattr(import_module(f"blogtwin.sources.{module}"), name)()
    return source
