"""Who reads which files. Out: a Source for every file name ending, in lower case and without the dot."""

from __future__ import annotations

from blogtwin.sources.asciidoc import AsciidocSource
from blogtwin.sources.base import Source
from blogtwin.sources.djot import DjotSource
from blogtwin.sources.docx import DocxSource
from blogtwin.sources.html import HtmlSource
from blogtwin.sources.markdown import MarkdownSource
from blogtwin.sources.notebook import NotebookSource
from blogtwin.sources.org import OrgSource
from blogtwin.sources.rst import RstSource
from blogtwin.sources.text import TextSource

_SOURCES: tuple[Source, ...] = (
    MarkdownSource(),
    TextSource(),
    DocxSource(),
    HtmlSource(),
    RstSource(),
    OrgSource(),
    NotebookSource(),
    AsciidocSource(),
    DjotSource(),
)
REGISTRY: dict[str, Source] = {ending: source for source in _SOURCES for ending in source.endings}
