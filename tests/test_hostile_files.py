"""Files that were made to do harm are refused with their reason: zips, XML and JSON that blow up, or that point elsewhere."""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
from pathlib import Path

import pytest

from blogtwin.errors import InputError, UnreadableFile
from blogtwin.sources import archive
from blogtwin.sources.exports.choose import export_for
from test_exports import WXR, ghost, item, posts, written, zipped


def bomb(entities: str, text: str) -> str:
    body = WXR.format(items=item(1, "x", title="T")).partition("?>")[2].replace("<language>en-GB", f"<language>{text}")
    return f'<?xml version="1.0"?>\n<!-- a comment > <rss -->\n<!DOCTYPE rss {entities}>{body}'


LAUGHS = "[" + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(10)) + "]"


@pytest.mark.parametrize(
    "content",
    [
        bomb(LAUGHS, "&e9;").encode(),
        bomb('[<!ENTITY x SYSTEM "file:///etc/passwd">]', "&x;").encode(),
        bomb('SYSTEM "http://127.0.0.1:9/x.dtd"', "x").encode(),
        bomb(LAUGHS, "&e9;").replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"),
    ],
    ids=["billion laughs", "external entity", "external DTD", "UTF-16"],
)
def test_xml_that_declares_entities_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.xml"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="document type"):
        posts(path)


def members_with(flag: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("posts.csv", "post_id,title\n")
        if flag == "link":
            info = zipfile.ZipInfo("posts/1.a.html")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            package.writestr(info, "/etc/passwd")
        elif flag == "bomb":
            package.writestr("posts/1.a.html", b"\0" * (64 * 2**20))
        elif flag in ("../x", "/etc/x", "..\\x", "C:\\x"):
            package.writestr(zipfile.ZipInfo("placeholder"), "x")
            package.filelist[-1].filename = flag
    data = buffer.getvalue()
    if flag == "password":
        place = data.index(b"PK\x01\x02")
        data = data[: place + 8] + b"\x01\x00" + data[place + 10 :]
    if flag == "name":  # said to be UTF-8, and is not
        place = data.index(b"PK\x01\x02")
        data = data[: place + 9] + b"\x08" + data[place + 10 :].replace(b"posts.csv", b"posts\xd4csv", 1)
    if flag == "count":
        data = data[:-10] + struct.pack("<I", 2**31) + data[-6:]
    return data


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("link", "link to another file"), ("bomb", "from next to nothing"), ("../x", "leads out"), ("/etc/x", "leads out"),
        ("..\\x", "leads out"), ("C:\\x", "leads out"), ("password", "has a password"), ("count", "too many"),
        ("name", "codec can't decode"),
    ],
)  # fmt: skip
def test_a_hostile_zip_is_refused_before_it_is_unpacked(tmp_path: Path, flag: str, reason: str) -> None:
    path = tmp_path / "s.zip"
    path.write_bytes(members_with(flag))
    with pytest.raises(UnreadableFile, match=reason):
        posts(path)


def test_files_that_lie_on_top_of_each_other_are_refused(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "s.zip", {"posts.csv": "post_id\n", "posts/1.html": "x" * 5000, "posts/2.html": "y" * 5000}
    )
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    third = data.index(b"PK\x01\x02", second + 4)
    data[third + 42 : third + 46] = data[second + 42 : second + 46]
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match="on top of another"):
        posts(path)


def test_a_zip_inside_a_zip_is_not_opened(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"posts.csv": "post_id\n"}).read_bytes()
    with pytest.raises(InputError, match="no export"):
        export_for(zipped(tmp_path / "outer.zip", {"inner.zip": inner}))


def test_a_total_of_too_many_megabytes_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "s.zip", {f"{n}.txt": "some words " * 1000 for n in range(100)})
    with pytest.raises(UnreadableFile, match="would unpack"), archive.opened(path, "an export", "", 2**20):
        pass


@pytest.mark.parametrize(
    "content",
    [
        '{"db": [{"data": {"posts": ' + "[" * 100_000 + "]" * 100_000 + "}}]}",
        '{"db": [{"data": {"posts": ' + '{"a":' * 100_000,
        '{"db": [{"data": {"posts": [',
        '{"version": "https://jsonfeed.org/version/1", "items": ' + "[" * 100_000,
    ],
    ids=["lists", "objects", "cut off", "feed"],
)
def test_json_that_is_deep_or_cut_off_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UnreadableFile, match="JSON"):
        posts(written(tmp_path / "g.json", content))


def test_a_ghost_document_that_is_deep_or_damaged_costs_only_its_post(tmp_path: Path) -> None:
    deep = '{"root":' + '{"type":"paragraph","children":[' * 400 + "]}" * 400 + "}"
    rows: list[dict[str, object]] = [
        {"id": "1", "slug": "deep", "lexical": deep, "status": "draft"},
        {
            "id": "2",
            "slug": "odd",
            "mobiledoc": '{"sections": [[1, "p", [[0, [99], 0, "x"]]]], "markups": []}',
            "status": "draft",
        },
        {"id": "3", "slug": "good", "html": "<p>Good.</p>", "status": "published"},
    ]
    found = posts(written(tmp_path / "g.json", ghost(rows)))
    assert ["damaged" in "".join(post.remarks) for post in found.values()] == [True, True, False]
    assert found["good"].text == "Good."


def hostile_xml(kind: str) -> str:
    head, tail = WXR.split("{items}")
    match kind:
        case "deep":
            return head + "<item>" * 100_000
        case "wide attribute":
            return head + f'<item x="{"y" * 11_000_000}"/>' + tail
        case "long text":
            return head + item(1, "y" * 11_000_000) + tail
        case "attributes":
            return head + "<item " + " ".join(f'a{n}="1"' for n in range(50_000)) + "/>" + tail
    return head + item(1, "Hello.")


@pytest.mark.parametrize("kind", ["deep", "wide attribute", "long text", "attributes", "cut off"])
def test_xml_without_bounds_is_refused_quickly(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "w.xml", hostile_xml(kind))
    start = time.process_time()
    if kind == "attributes":
        assert posts(path) == {}
    else:
        with pytest.raises(UnreadableFile, match=r"damaged XML|a post may have"):
            posts(path)
    assert time.process_time() - start < 5
