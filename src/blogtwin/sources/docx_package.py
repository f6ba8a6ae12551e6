"""Is this Word file safe to open? A .docx is a zip of XML files, and both can hold bombs.

In: the path of a .docx. Out: nothing, or UnreadableFile with the reason. It looks at the zip's directory before anything
is unpacked, and at the XML's bytes before a parser sees them: Word writes no DTD, and without a DTD no entity can grow.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from blogtwin.sources import archive
from blogtwin.sources.base import file_bytes, unreadable

MAX_FILE_BYTES = 256 * 2**20  # photographs
MAX_XML_BYTES = 64 * 2**20  # all XML together, unpacked: some eight million words
_DOCTYPES = tuple("<!DOCTYPE".encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be"))
_OLD_WORD = b"\xd0\xcf\x11\xe0"  # OLE: .doc, and any document with a password
_AGAIN = "save it again as .docx"


def check(path: Path) -> None:
    """Raises UnreadableFile unless `path` is a Word document of sane size without a DTD."""
    if _start(path) == _OLD_WORD:
        raise unreadable(
            path, "is an old .doc or has a password, so it is no .docx inside", "save it as .docx, without a password"
        )
    with archive.opened(path, "a Word document", _AGAIN, MAX_FILE_BYTES) as package:
        _check_members(path, package)


def _start(path: Path) -> bytes:
    if not path.is_file():
        file_bytes(path, 0)  # says why: a dangling link, a pipe
    try:
        with path.open("rb") as file:
            return file.read(len(_OLD_WORD))
    except OSError as refusal:
        raise unreadable(path, f"cannot be opened: {(refusal.strerror or str(refusal)).lower()}") from refusal


def _check_members(path: Path, package: zipfile.ZipFile) -> None:
    members = package.infolist()
    xml = [member for member in members if member.filename.lower().endswith((".xml", ".rels"))]
    size = sum(member.file_size for member in xml)
    if size > MAX_XML_BYTES:
        raise unreadable(
            path, f"its XML would unpack to {size / 2**20:,.0f} MB; at most {MAX_XML_BYTES / 2**20:,.0f} are read"
        )
    if not any(member.filename.startswith("word/") for member in xml):
        raise unreadable(path, "is a zip, but not a Word document", _AGAIN)
    for member in xml:
        content = archive.read(path, package, member.filename, MAX_XML_BYTES)
        if any(doctype in content for doctype in _DOCTYPES):
            raise unreadable(path, f"{member.filename!r} in it declares XML entities, which Word never does")
