"""Zip files that may be hostile: Word documents and the exports of blog hosts.

In: the path of a zip. Out: its members, looked at before anything is unpacked, or UnreadableFile with the reason. Nothing is ever
written to disk, so that a name cannot lead out of a folder; a member with such a name is refused all the same.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blogtwin.sources.base import file_bytes, unreadable

MAX_MEMBERS = 100_000
_MAX_DIRECTORY_BYTES = 16 * 2**20  # the list of members, which is read whole: some 150,000 of them
_MAX_RATIO = 200  # text packs 3 to 30 times; only made-up repetition reaches a thousand
_SMALL = 2**20  # below this no ratio can hurt
# What reading a member raises where a byte of it is wrong.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, struct.error, ValueError,
    OverflowError,
)  # fmt: skip
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x07"


@contextmanager
def opened(path: Path, what: str, hint: str, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """The zip at `path`, whose members unpack to at most `max_bytes` in all. what: what it should be, for the reason.

    Raises UnreadableFile, also for what goes wrong while it is open.
    """
    if not path.is_file():
        file_bytes(path, 0)  # says why: a dangling link, a pipe
    try:
        _check_directory(path)
        try:
            package = zipfile.ZipFile(path)
        except (ValueError, OverflowError) as fault:  # a name that is no UTF-8, an offset that is none
            raise zipfile.BadZipFile(str(fault)) from fault
        with package:
            _check_members(path, package.infolist(), max_bytes)
            yield package
    except OSError as refusal:
        raise unreadable(path, f"cannot be opened: {(refusal.strerror or str(refusal)).lower()}") from refusal
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, struct.error) as fault:
        raise unreadable(path, f"is not {what}: {str(fault).lower()}", hint) from fault


def read(path: Path, package: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One member of at most `limit` bytes; what its directory says of its size is not believed. Raises UnreadableFile."""
    try:
        with package.open(name) as member:
            data = member.read(limit + 1)
    except _DAMAGED as fault:
        raise unreadable(path, f"{name!r} in it is damaged: {str(fault).lower()}") from fault
    if len(data) > limit:
        raise unreadable(path, f"{name!r} in it has more than {limit / 2**20:,.0f} MB")
    return data


def _check_directory(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - 66_000))
        tail = file.read()
        place = tail.rfind(_END)
        if place < 0:
            return  # the zip reader says that this is none
        (length,) = struct.unpack_from("<I", tail, place + 12)
        locator = place - 20
        if length == 0xFFFFFFFF and locator >= 0 and tail[locator : locator + 4] == _END_64:
            file.seek(struct.unpack_from("<Q", tail, locator + 8)[0])
            (length,) = struct.unpack_from("<Q", file.read(56), 40)
    if length > _MAX_DIRECTORY_BYTES:
        raise unreadable(path, f"lists its members on {length / 2**20:,.0f} MB; it holds too many")


def _check_members(path: Path, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if len(members) > MAX_MEMBERS:
        raise unreadable(path, f"holds {len(members):,} files; at most {MAX_MEMBERS:,} are read")
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise unreadable(path, f"it would unpack to {total / 2**20:,.0f} MB; at most {max_bytes / 2**20:,.0f} are read")
    for member in members:
        name = member.filename
        if member.flag_bits & 1:
            raise unreadable(path, f"{name!r} in it has a password", "save it again without a password")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise unreadable(path, f"{name!r} in it is a link to another file")
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
            raise unreadable(path, f"{name[:80]!r} in it leads out of the archive")
        if member.file_size > _SMALL and member.file_size > _MAX_RATIO * max(member.compress_size, 1):
            raise unreadable(path, f"{name!r} in it unpacks to {member.file_size / 2**20:,.0f} MB from next to nothing")
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise unreadable(
                path, f"{member.filename!r} in it lies on top of another file, which unpacks the same bytes twice"
            )
        end = (
            member.header_offset
            + 30
            + len(member.filename.encode("utf-8", "surrogateescape")) // 2
            + member.compress_size
        )
