"""When a post was written: every spelling, every place that says it, and which is believed when they disagree."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePath

import pytest

from blogtwin.sources import dates, drafts, git_history
from blogtwin.sources.base import Document
from blogtwin.sources.compose import composed

DAY = datetime(2018, 11, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "spelling",
    [
        "2018-11-14", "2018/11/14", "2018.11.14", "20181114", "14 November 2018", "14-Nov-2018", "Nov. 14, 2018",
        "14th of November 2018", "Wednesday, November 14th, 2018", "14.11.2018", "14. November 2018", "11/14/2018", "14/11/2018",
        "Wed, 14 Nov 2018 00:00:00 +0000", "<2018-11-14 Wed>", "[2018-11-14 Mi]", "2018年11月14日", "2018-11-14T00:00:00Z",
        "2018-11-14\u00a000:00", "November 14th, 2018 at 12:00 am", "14 novembre 2018", "14 de noviembre de 2018",
        "le 14 nov. 2018",
        "2018 November 14", "20181114T000000Z", "'2018-11-14'", 20181114, DAY, DAY.date(), "1542153600",
        "2018-11-14T00:00:00.000Z", "2018-11-14 00:00:00 UTC",
    ],
)  # fmt: skip
def test_a_date_is_understood_however_it_is_spelt(spelling: object) -> None:
    assert dates.parse(spelling) == DAY


@pytest.mark.parametrize("spelling", ["März", "février", "dezember", "août", "mayo", "juin", "juillet"])
def test_months_have_their_names_in_many_languages(spelling: str) -> None:
    months = {"März": 3, "février": 2, "dezember": 12, "août": 8, "mayo": 5, "juin": 6, "juillet": 7}
    assert dates.parse(f"1. {spelling} 2018") == datetime(2018, months[spelling], 1, tzinfo=UTC)


def test_a_clock_and_a_zone_are_kept() -> None:
    assert dates.parse("<2019-12-01 Sun 19:48>") == datetime(2019, 12, 1, 19, 48, tzinfo=UTC)
    assert dates.parse("2019-12-01-19:48") == datetime(2019, 12, 1, 19, 48, tzinfo=UTC)
    for zone in ("+0900", "+09:00", "+9", "UTC+09:00", "GMT+9"):
        assert dates.parse(f"2019-12-01 19:48 {zone}") == datetime(
            2019, 12, 1, 19, 48, tzinfo=timezone(timedelta(hours=9))
        )


@pytest.mark.parametrize(
    "spelling",
    ["2015-21-12", "03/04/2018", "true", "", "soon", "0000-00-00", None, 7, True, "2018", "99999999", "1" * 5000],
)
def test_what_is_no_date_or_could_be_two_is_none(spelling: object) -> None:
    assert dates.parse(spelling) is None


@pytest.mark.parametrize(
    "key",
    [
        "date",
        "Date",
        "published",
        "published_at",
        "publishDate",
        "date-published",
        "pub date",
        "created",
        "posted_on",
        "datetime",
    ],
)
def test_front_matter_has_many_words_for_it(key: str) -> None:
    document = composed("markdown", "Hello.", {key: "2018-11-14"})
    assert (document.created_at, document.created_from) == (DAY, "front matter")


def test_a_date_that_cannot_be_one_is_reported() -> None:
    document = composed("markdown", "Hello.", {"date": "2015-21-12", "published": "true"})
    assert document.created_at is None
    assert "2015-21-12" in document.remarks[0]


@pytest.mark.parametrize(
    ("path", "moment", "place"),
    [
        ("2018-11-14-late.md", DAY, "file name"),
        ("20181114.txt", DAY, "file name"),
        ("_posts/2018_11_14_x.md", DAY, "file name"),
        ("2018/11/14/late/index.md", DAY, "folder"),
        ("2018-11-14-late/index.md", DAY, "folder"),
        ("2018/11/late.md", datetime(2018, 11, 1, tzinfo=UTC), "folder"),
        ("2018/late.md", None, None),
        ("201811141234.md", None, None),
        ("late.md", None, None),
    ],
)
def test_a_path_may_say_it(path: str, moment: datetime | None, place: str | None) -> None:
    assert dates.in_path(PurePath(path)) == (moment, place)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("November 14, 2018\n\nIt rained.", "It rained."),
        ("*2018-11-14*\n\nIt rained.", "It rained."),
        ("Posted on 14 November 2018\n\nIt rained.", "It rained."),
        ("## 14.11.2018\n\nIt rained.", "It rained."),
        ("# Rain\n\n2018-11-14\n\nIt rained.", "It rained."),
    ],
)
def test_a_line_above_the_text_may_say_it_and_is_taken_off(body: str, text: str) -> None:
    document = composed("markdown", body, {})
    assert (document.created_at, document.created_from, document.text) == (DAY, "heading", text)


@pytest.mark.parametrize("body", ["On 14 November 2018 it rained.", "2018-11-14 was wet.\n\nVery.", "2018-11-14"])
def test_a_sentence_with_a_date_is_text(body: str) -> None:
    document = composed("markdown", body, {})
    assert (document.created_at, document.text) == (None, body)


def test_of_two_dates_the_front_matters_is_believed_and_the_conflict_reported() -> None:
    said = Document("x", "markdown", created_at=DAY, created_from="front matter")
    assert dates.settle(said, PurePath("2018-11-15-x.md")) == (DAY, "front matter", None)
    moment, origin, remark = dates.settle(said, PurePath("2011-01-02-x.md"))
    assert (moment, origin) == (DAY, "front matter")
    assert remark == "the front matter says 2018-11-14, the file name 2011-01-02; the front matter was believed"


def test_a_path_is_believed_before_a_documents_own_date_and_nothing_is_nothing() -> None:
    word = Document("x", "docx", created_at=datetime(2020, 1, 1, tzinfo=UTC), created_from="document")
    assert dates.settle(word, PurePath("2018-11-14-x.docx")) == (DAY, "file name", None)
    assert dates.settle(word, PurePath("x.docx")) == (word.created_at, "document", None)
    assert dates.settle(Document("x", "text"), PurePath("x.txt")) == (None, None, None)


@pytest.mark.parametrize(
    ("path", "draft"),
    [
        ("_drafts/x.md", True),
        ("Drafts/x.md", True),
        ("a/unpublished/x.md", True),
        ("drafts.md", False),
        ("posts/x.md", False),
    ],
)
def test_some_folders_are_for_drafts(path: str, draft: bool) -> None:
    assert drafts.is_draft_path(PurePath(path)) is draft


def git(folder: Path, *arguments: str, at: str = "2018-11-14T00:00:00Z") -> None:
    environment = {**os.environ, "GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at, "HOME": str(folder)}
    name = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *name, *arguments], cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    blog = tmp_path / "repository" / "blog"
    blog.mkdir(parents=True)
    git(blog.parent, "init", "-q")
    (blog / 'a "ü".md').write_text("one", encoding="utf-8")
    (blog.parent / "outside.md").write_text("out", encoding="utf-8")
    git(blog.parent, "add", ".")
    git(blog.parent, "commit", "-qm", "first")
    (blog / 'a "ü".md').write_text("two", encoding="utf-8")
    (blog / "b.md").write_text("three", encoding="utf-8")
    git(blog.parent, "add", ".")
    git(blog.parent, "commit", "-qm", "second", at="2020-01-02T00:00:00Z")
    (blog / "new.md").write_text("not in git", encoding="utf-8")
    return blog


def test_git_says_when_each_file_was_added(repository: Path) -> None:
    second = datetime(2020, 1, 2, tzinfo=UTC)
    assert git_history.first_commits(repository) == {'a "ü".md': DAY, "b.md": second}
    assert set(git_history.first_commits(repository.parent)) == {'blog/a "ü".md', "blog/b.md", "outside.md"}


def test_git_says_nothing_where_it_cannot_know(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_history.first_commits(tmp_path) == {}
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository.parent}", "shallow")
    assert git_history.first_commits(tmp_path / "shallow") == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_history.first_commits(repository) == {}


def test_a_repository_runs_nothing_when_it_is_asked(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n", encoding="utf-8")
    trap.chmod(0o755)
    for setting in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "diff.external",
        "diff.x.textconv",
        "gpg.program",
    ):
        git(repository, "config", setting, str(trap))
    git(repository, "config", "log.showSignature", "true")
    (repository / ".gitattributes").write_text("*.md diff=x\n", encoding="utf-8")
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    assert len(git_history.first_commits(repository)) == 2
    assert not (tmp_path / "sprung").exists()
