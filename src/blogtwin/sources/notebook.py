"""Jupyter notebooks. In: .ipynb files of any version. Out: a Document whose text is the Markdown cells and the code between.

What a run printed or drew is the machine's, so outputs go, with pictures pasted into cells. A first raw cell of front
matter counts as such.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blogtwin.markup.html_code import fenced
from blogtwin.sources import front_matter
from blogtwin.sources.base import Document, file_bytes, one_line, unreadable, without_controls
from blogtwin.sources.compose import composed

MAX_BYTES = 64 * 2**20  # mostly pictures in outputs
_ATTACHED = re.compile(r"!\[[^\]\n]{0,500}\]\(attachment:[^)\n]{0,500}\)")
_MAGIC = re.compile(r"%%(\w+)[^\n]*\n?")
_MAGIC_LANGUAGES = {"bash", "sh", "html", "javascript", "js", "latex", "perl", "ruby", "sql", "svg", "cython", "r"}


class NotebookSource:
    """Notebooks, through nbformat, which brings old versions up to date."""

    def read(self, path: Path) -> Document:
        notebook = _notebook(path, file_bytes(path, MAX_BYTES))
        said: Mapping[str, object] = notebook.metadata
        language = _language(notebook.metadata)
        values: dict[str, object] = {}
        remarks: tuple[str, ...] = ()
        blocks: list[str] = []
        for number, cell in enumerate(notebook.cells):
            source = without_controls(str(cell.get("source", ""))).strip("\n").rstrip()
            kind = cell.get("cell_type")
            if number == 0 and kind in ("raw", "markdown") and not values:
                front = front_matter.split(source)
                values, remarks, source = dict(front.values), front.remarks, front.body.strip()
            if not source or kind == "raw" or _hidden(cell):
                continue
            blocks.append(_code(source, language) if kind == "code" else _ATTACHED.sub("", source).strip("\n"))
        return composed("notebook", "\n\n".join(block for block in blocks if block), {**_own(said), **values}, remarks)


def _notebook(path: Path, data: bytes) -> Any:
    import nbformat as untyped

    nbformat: Any = untyped
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise unreadable(path, f"is not a notebook: {one_line(fault)[:100]}") from fault
    if not isinstance(content, dict) or not ("cells" in content or "worksheets" in content):
        raise unreadable(path, "is not a notebook: it has no cells")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about cells without ids, which matter to nobody here
            notebook = nbformat.from_dict(content)
            if notebook.get("nbformat") != 4:
                notebook = nbformat.convert(nbformat.reader.reads(data.decode("utf-8-sig")), 4)
    except Exception as fault:  # nbformat's converters trust their input, and fail in every way there is
        raise unreadable(path, f"is a damaged notebook: {one_line(fault)[:100]}") from fault
    for cell in notebook.cells if isinstance(notebook.get("cells"), list) else ():
        if not isinstance(cell, dict):
            raise unreadable(path, "is a damaged notebook: one of its cells is none")
        if isinstance(cell.get("source"), list):
            cell["source"] = "".join(str(line) for line in cell["source"])
    if not isinstance(notebook.get("cells"), list):
        raise unreadable(path, "is not a notebook: it has no cells")
    if not isinstance(notebook.get("metadata"), dict):
        notebook["metadata"] = nbformat.from_dict({})
    return notebook


def _language(metadata: Mapping[str, Any]) -> str:
    for place, key in (("language_info", "name"), ("kernelspec", "language")):
        about = metadata.get(place)
        if isinstance(about, dict) and isinstance(about.get(key), str):
            return re.sub(r"[^\w+#.-]", "", about[key].lower())
    return "python"


def _code(source: str, language: str) -> str:
    magic = _MAGIC.match(source)
    if magic and magic.group(1) in ("markdown", "md"):
        return source[magic.end() :]
    if magic and magic.group(1) in _MAGIC_LANGUAGES:
        return fenced(source[magic.end() :], magic.group(1))
    return fenced(source, language)


def _hidden(cell: Mapping[str, Any]) -> bool:
    """Cells that Jupyter Book, nbdev and Quarto do not show."""
    about = cell.get("metadata")
    names = about.get("tags", []) if isinstance(about, dict) else []
    hidden = {"remove-cell", "remove_cell", "hide-cell", "remove-input", "hide_cell"}
    return isinstance(names, list) and any(name in hidden for name in names if isinstance(name, str))


def _own(metadata: Mapping[str, object]) -> dict[str, object]:
    """What a notebook's own metadata says of the post: title, authors, date, Nikola's table."""
    found = {
        key: metadata[key] for key in ("title", "authors", "author", "date", "tags", "language") if key in metadata
    }
    nikola = metadata.get("nikola")
    return {**found, **nikola} if isinstance(nikola, dict) else found
