"""Reading posts: what an author's file says must arrive, and what is no post must be refused with its reason."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blogtwin.errors import UnreadableFile
from blogtwin.sources import dates, front_matter, titles
from blogtwin.sources.base import MAX_TEXT_BYTES, Document
from blogtwin.sources.folder import REGISTRY

DOCUMENT = (
    '<?xml version="1.0"?>{doctype}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
)


def read(path: Path) -> Document:
    return REGISTRY[path.suffix.lstrip(".")].read(path)


def markdown(folder: Path, content: str | bytes) -> Document:
    path = folder / "post.md"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path)


def test_yaml_front_matter_is_read_and_taken_off_the_text(tmp_path: Path) -> None:
    post = markdown(
        tmp_path,
        "---\ntitle: 'No: yes'\ndate: 2020-06-13 10:19:42 -0700\ntags: [a, b]\ndraft: true\nauthor: {name: Ada}\n---\n\nHello.\n",
    )
    assert (post.title, post.text, post.tags, post.draft, post.author) == ("No: yes", "Hello.", ("a", "b"), True, "Ada")
    assert post.created_at is not None
    assert post.created_at.astimezone(UTC) == datetime(2020, 6, 13, 17, 19, 42, tzinfo=UTC)


def test_toml_front_matter_with_zolas_taxonomies_is_read(tmp_path: Path) -> None:
    post = markdown(tmp_path, '+++\ntitle = "T"\ndate = 2023-11-12\n[taxonomies]\ntags = ["x"]\n+++\nHello.')
    assert (post.title, post.text, post.tags, post.created_from) == ("T", "Hello.", ("x",), "front matter")


def test_broken_yaml_is_reported_with_its_line_and_loses_nothing_that_can_be_read(tmp_path: Path) -> None:
    post = markdown(tmp_path, "---\ndate: 2020-01-02\ntitle: One: two\n---\nHello.")
    assert (post.title, post.text) == ("One: two", "Hello.")
    assert post.created_at == datetime(2020, 1, 2, tzinfo=UTC)
    assert "line 3" in post.remarks[0]
    assert "not YAML" in post.remarks[0]


def test_text_between_two_rules_is_text(tmp_path: Path) -> None:
    text = "---\nJust a thought between rules.\n---\n\nAnd more."
    assert markdown(tmp_path, text).text == text


def test_a_front_matter_bomb_is_harmless(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert markdown(tmp_path, f"---\ntitle: T\n{bomb}---\nHello.").title == "T"
    nested = markdown(tmp_path, "---\ntitle: T\nx: " + "[" * 3000 + "\n---\nHello.")
    assert (nested.title, nested.text) == ("T", "Hello.")


@pytest.mark.parametrize(
    "spelling",
    [
        "2018-11-14", "2018/11/14", "20181114", "14 November 2018", "14th of November 2018", "Nov 14, 2018", "14.11.2018",
        "Wed, 14 Nov 2018 00:00:00 +0000", "<2018-11-14 Wed>", "2018年11月14日", "2018-11-14T00:00:00Z", "11/14/2018",
        "2018-11-14\u00a000:00", "November 14th, 2018 at 12:00 am",
    ],
)  # fmt: skip
def test_a_date_is_understood_however_it_is_spelt(spelling: str) -> None:
    assert dates.parse(spelling) == datetime(2018, 11, 14, tzinfo=UTC)


@pytest.mark.parametrize("spelling", ["2015-21-12", "03/04/2018", "true", "", "soon", "0000-00-00", None, 7])
def test_what_is_no_date_or_could_be_two_is_none(spelling: object) -> None:
    assert dates.parse(spelling) is None


def test_published_is_a_date_or_a_yes(tmp_path: Path) -> None:
    assert dates.from_front_matter({"published": "true"}) == (None, None)
    assert dates.from_front_matter({"publishedat": "2018-11-14"})[0] == datetime(2018, 11, 14, tzinfo=UTC)
    assert "2015-21-12" in str(dates.from_front_matter({"date": "2015-21-12"})[1])


def test_a_heading_that_repeats_the_title_is_removed_and_another_stays(tmp_path: Path) -> None:
    assert markdown(tmp_path, "---\ntitle: My *day*\n---\n# My day\n\nHello.").text == "Hello."
    assert markdown(tmp_path, "---\ntitle: Mine\n---\n# Yours\n\nHello.").text == "# Yours\n\nHello."
    alone = markdown(tmp_path, "My day\n======\n\nHello.")
    assert (alone.title, alone.text) == ("My day", "Hello.")
    assert markdown(tmp_path, "```\n# a comment\n```\n\nHello.").title is None


def test_a_title_is_made_of_a_file_name() -> None:
    assert titles.from_path(Path("2019-03-10-shop-opens-late.html.md")) == "Shop opens late"
    assert titles.from_path(Path("blog/tide_table/index.md")) == "Tide table"


def test_plain_text_has_its_title_on_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Short days\n\nTen to four.\n", encoding="utf-8")
    assert (read(path).title, read(path).text) == ("Short days", "Ten to four.")
    path.write_text("It began like any other day.\n\nThen it rained.\n", encoding="utf-8")
    assert read(path).title is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings_are_read_without_remark(tmp_path: Path, encoding: str) -> None:
    post = markdown(tmp_path, "# Fête\r\n\r\nCafé — “ça va”\x07.".encode(encoding))
    assert (post.title, post.text, post.remarks) == ("Fête", "Café — “ça va”.", ())


def test_windows_1252_is_the_last_resort_and_is_reported(tmp_path: Path) -> None:
    post = markdown(tmp_path, "Un café à Paris – déjà vu.".encode("cp1252"))
    assert post.text == "Un café à Paris – déjà vu."
    assert "Windows-1252" in post.remarks[0]


def test_one_broken_byte_does_not_spoil_the_rest_of_utf8(tmp_path: Path) -> None:
    post = markdown(tmp_path, "Déjà vu, naïve, café.\n".encode() + b"Here: \xff.\n")
    assert post.text.startswith("Déjà vu, naïve, café.")
    assert "line 2" in post.remarks[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Hello\0world", "NUL bytes"),
        (bytes(range(1, 32)) * 40, "binary"),
        ("Привет, как дела? ".encode("cp1251") * 20, "neither UTF-8 nor Western European"),
        (b"a" * (MAX_TEXT_BYTES + 1), "MB"),
    ],
    ids=["NUL", "binary", "Cyrillic", "huge"],
)
def test_what_is_no_text_is_refused_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason) as refused:
        markdown(tmp_path, content)
    assert "post.md" in refused.value.message
    assert refused.value.hint


def test_word_keeps_headings_lists_emphasis_tables_and_links(tmp_path: Path) -> None:
    import docx

    document = docx.Document()
    document.add_paragraph("My day", style="Title")
    paragraph = document.add_paragraph("It was ")
    paragraph.add_run("very ").bold = True
    paragraph.add_run("good").bold = True
    paragraph.add_run(" and ")
    paragraph.add_run("long").italic = True
    document.add_heading("Morning", level=1)
    document.add_paragraph("tea", style="List Bullet")
    document.add_paragraph("milk", style="List Bullet 2")
    document.add_paragraph("wake", style="List Number")
    document.add_paragraph("rise", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["What", "How", "a|b", "well"], strict=True):
        cell.text = text
    document.add_paragraph("- not a list")
    document.save(str(tmp_path / "a.docx"))
    post = read(tmp_path / "a.docx")
    assert post.title == "My day"
    assert post.text == (
        "It was **very good** and *long*\n\n## Morning\n\n- tea\n   - milk\n1. wake\n2. rise\n\n"
        "| What | How |\n| --- | --- |\n| a\\|b | well |\n\n\\- not a list"
    )
    assert post.created_at is None  # python-docx's own template date is not the author's


def test_every_word_document_of_the_example_blog_is_read() -> None:
    folder = Path(__file__).parent.parent / "examples" / "blog"
    posts = [read(path) for path in sorted(folder.glob("*.docx"))]
    assert len(posts) == 4
    assert all(post.title and post.author == "Hester Quillam" and post.text.count("\n\n") > 5 for post in posts)


def word_file(path: Path, document: str, extra: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", document)
        for name, content in (extra or {}).items():
            package.writestr(name, content)
    return path


def test_bad_word_documents_are_refused_before_a_parser_sees_them(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    bomb = DOCUMENT.format(doctype=f"<!DOCTYPE d [{entities}]>", text="&e9;")
    plain = DOCUMENT.format(doctype="", text="hello")
    (tmp_path / "text.docx").write_text("I am no zip", encoding="utf-8")
    (tmp_path / "old.docx").write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 600)
    (tmp_path / "empty.docx").touch()
    word_file(tmp_path / "bomb.docx", bomb)
    word_file(tmp_path / "member.docx", plain, {"word/media/a.png": b"\0" * (20 * 2**20)})
    word_file(tmp_path / "xml.docx", plain, {f"word/{n}.xml": os.urandom(2**20) * 17 for n in range(4)})
    word_file(tmp_path / "parts.docx", plain)
    whole = (tmp_path / "bomb.docx").read_bytes()
    (tmp_path / "cut.docx").write_bytes(whole[: len(whole) // 2])
    reasons = {
        "text": "not a Word document", "old": r"old \.doc", "empty": "not a Word document", "bomb": "XML entities",
        "member": "from next to nothing", "xml": "would unpack to 68 MB", "parts": "damaged", "cut": "not a Word document",
    }  # fmt: skip
    for name, reason in reasons.items():
        with pytest.raises(UnreadableFile, match=reason) as refused:
            read(tmp_path / f"{name}.docx")
        assert name in refused.value.message


def test_a_pipe_or_a_link_to_nowhere_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnreadableFile, match="not a regular file"):
        read(tmp_path / "pipe.md")
    with pytest.raises(UnreadableFile, match="leads nowhere"):
        read(tmp_path / "gone.md")


def test_pelicans_lines_above_the_text_are_front_matter() -> None:
    found = front_matter.split("Title: A day\nDate: 2020-01-02\n\nHello.")
    assert (found.values["title"], found.body) == ("A day", "Hello.")
    assert front_matter.split("Note: this\nis text.\n").body == "Note: this\nis text.\n"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.ipynb", "{}", "not a notebook: it has no cells"),
        ("a.ipynb", "no JSON", "not a notebook"),
        ("a.ipynb", '{"nbformat": 4, "metadata": {}, "cells": [3]}', "damaged notebook"),
        ("a.ipynb", '{"nbformat": 2, "cells": []}', "notebook"),
        ("a.rst", "word " * 40_000, "200,000 characters"),
        ("a.rst", "A\n=\n" * 3_000, "headings"),
        ("a.org", "* a\n" * 20_000, "headings"),
        ("a.org", "word " * 200_000, "1,000,000 characters"),
        ("a.adoc", "word " * 200_000, "1,000,000 characters"),
    ],
)
def test_what_a_format_cannot_be_is_refused_with_its_reason(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableFile, match=reason):
        read(tmp_path / name)


def test_no_format_opens_another_file_or_runs_anything(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("XYZZY", encoding="utf-8")
    for name, content in {
        "a.rst": f".. include:: {secret}\n\n.. literalinclude:: {secret}\n\n.. raw:: html\n   :file: {secret}\n\n"
        f".. csv-table::\n   :file: {secret}\n\n.. nosuch:: {secret}\n\nHello :nosuch:`there` |gone|_ `x\n",
        "a.org": f'#+INCLUDE: "{secret}"\n#+SETUPFILE: {secret}\nHello [[file:{secret}]] {{{{{{include}}}}}}\n',
        "a.adoc": f"include::{secret}[]\n\nsys::[cat {secret}]\n\n{{sys:cat {secret}}} {{eval:1+1}} Hello\n",
    }.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        post = read(tmp_path / name)
        assert "Hello" in post.text
        assert "XYZZY" not in post.text
    assert capfd.readouterr() == ("", "")


def test_unknown_directives_and_roles_keep_their_words(tmp_path: Path) -> None:
    path = tmp_path / "a.rst"
    path.write_text(
        "An :odd:`word <target>` and :py:class:`~a.b.C`.\n\n.. strange:: argument\n   :option: x\n\n   Its *words* stay.\n\n"
        ".. code-block:: ruby\n   :hl_lines: 1\n\n   puts 1\n\n.. youtube:: abc\n",
        encoding="utf-8",
    )
    post = read(path)
    assert post.text == "An word and `C`.\n\nIts *words* stay.\n\n```ruby\nputs 1\n```"
    assert post.remarks == ("left out what is no text: youtube",)


def test_org_days_that_never_were_stay_as_they_are_written(tmp_path: Path) -> None:
    post = tmp_path / "a.org"
    heading = "* One <2021-02-30 Tue 25:00>\nCLOSED: [2020-13-01 Mon 10:10]\n:PROPERTIES:\n:Effort: a while\n:END:\n"
    clock = "CLOCK: [2012-10-26 Fri 14:30]--[2012-10-26 Fri 25:40] =>  0:10\n"
    long = "We met on <2020-02-30 Sun 24:10> there." + " And again." * 60
    post.write_text(f"{heading}{clock}Never on <2020-02-31>.\n\n{long}\n")
    read = REGISTRY["org"].read(post)
    assert read.title == "One 2021-02-30 Tue 25:00"
    assert read.text.startswith("Never on 2020-02-31.\n\nWe met on 2020-02-30 Sun 24:10 there. And again.")
