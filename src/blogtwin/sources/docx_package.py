"""Is this Word file safe to open? A .docx is a zip of XML files, and both can hold bombs.

In: the path of a .docx. Out: nothing, or UnreadableFile with the reason. It looks at the zip's directory before anything
is unpacked, and at the XML's bytes before a parser sees them: Word writes no DTD, and without a DTD no entity can grow.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from blogtwin.sources.base import file_bytes, unreadable

MAX_FILE_BYTES = 256 * 2**20  # photographs
MAX_XML_BYTES = 64 * 2**20  # all XML together, unpacked: some eight million words
_MAX_RATIO = 200  # Word's XML packs 10 to 30 times; only made-up repetition reaches a thousand
_SMALL = 2**20  # below this no ratio can hurt
_DOCTYPES = tuple("<!DOCTYPE".encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be"))
_OLD_WORD = b"\xd0\xcf\x11\xe0"  # OLE: .doc, and any document with a password


def check(path: Path) -> None:
    """Raises UnreadableFile unless `path` is a Word document of sane size without a DTD."""
    if not path.is_file():
        file_bytes(path, 0)  # says why: a dangling link, a pipe
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == _OLD_WORD:
            raise unreadable(
                path,
                "is an old .doc or has a password, so it is no .docx inside",
                "save it as .docx, without a password",
            )
        with zipfile.ZipFile(path) as package:
            _check_members(path, package)
    except OSError as refusal:
        raise unreadable(path, f"cannot be opened: {(refusal.strerror or str(refusal)).lower()}") from refusal
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as fault:
        raise unreadable(path, f"is not a Word document: {str(fault).lower()}", "save it again as .docx") from fault


def _check_members(path: Path, package: zipfile.ZipFile) -> None:
    members = package.infolist()
    xml = [member for member in members if member.filename.lower().endswith((".xml", ".rels"))]
    for name, size, limit in (
        ("its XML", sum(member.file_size for member in xml), MAX_XML_BYTES),
        ("it", sum(member.file_size for member in members), MAX_FILE_BYTES),
    ):
        if size > limit:
            raise unreadable(
                path, f"{name} would unpack to {size / 2**20:,.0f} MB; at most {limit / 2**20:,.0f} are read"
            )
    for member in members:
        if member.file_size > _SMALL and member.file_size > _MAX_RATIO * max(member.compress_size, 1):
            raise unreadable(
                path, f"{member.filename!r} in it unpacks to {member.file_size / 2**20:,.0f} MB from next to nothing"
            )
    if "word/document.xml" not in {member.filename for member in members} and not any(
        member.filename.startswith("word/") for member in xml
    ):
        raise unreadable(path, "is a zip, but not a Word document", "save it again as .docx")
    for member in xml:
        content = package.read(member)
        if any(doctype in content for doctype in _DOCTYPES):
            raise unreadable(path, f"{member.filename!r} in it declares XML entities, which Word never does")
