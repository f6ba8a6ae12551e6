"""The ingest stage: every readable post arrives, every other file is named with its reason, and nothing is half-written."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blogtwin import file_reports, jsonl
from blogtwin.config import load_settings
from blogtwin.errors import InputError, NothingUsable, UnreadableFile
from blogtwin.progress import Silent
from blogtwin.records import Post
from blogtwin.stages import ingest
from blogtwin.stages.preview import preview
from blogtwin.stages.reading import Reader
from blogtwin.stages.result import StageResult
from blogtwin.workspace import Workspace

EXAMPLES = Path(__file__).parent.parent / "examples" / "blog"


def run(folder: Path, output: Path, **data: object) -> tuple[StageResult, list[Post]]:
    settings = load_settings(None, {"data": {"input_dir": folder, "output_dir": output, **data}})
    workspace = Workspace.here(settings)
    result = ingest.run(settings, workspace, Silent())
    assert ingest.plan(settings, workspace).stale() is None
    return result, list(jsonl.read(workspace.posts, Post))


def test_the_example_blog_arrives_whole(tmp_path: Path) -> None:
    result, posts = run(EXAMPLES, tmp_path)
    assert len(posts) == 30
    assert [post.path for post in posts] == sorted((post.path for post in posts), key=lambda path: Path(path).parts)
    assert {post.format for post in posts} == {"markdown", "text", "docx"}
    assert sum(post.draft for post in posts) == 1
    assert all(post.title and post.text and post.created_from != "file system" for post in posts)
    assert result.counts["words"] == sum(post.word_count for post in posts) > 15_000
    assert not result.problems


def test_the_same_folder_gives_the_same_bytes_and_a_copy_of_it_the_same_ids(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(EXAMPLES, copy)
    (copy / "undated.md").write_text("# No date\n\nHello.", encoding="utf-8")
    ids = []
    for age in (1e9, 1.1e9):
        os.utime(copy / "undated.md", (age, age))
        ids.append([post.id for post in run(copy, tmp_path / "a")[1]])
    run(copy, tmp_path / "b")
    assert ids[0] == ids[1]
    assert (tmp_path / "a" / "raw_blogs.jsonl").read_bytes() == (tmp_path / "b" / "raw_blogs.jsonl").read_bytes()


def test_bad_files_are_listed_with_their_reasons_and_do_not_stop_the_good_ones(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    blog.mkdir()
    (blog / "good.md").write_text("# Good\n\nAll is well.", encoding="utf-8")
    (blog / "nul.md").write_bytes(b"a\0b")
    (blog / "fake.docx").write_bytes(b"no zip")
    (blog / "empty.md").touch()
    (blog / "latin.md").write_bytes("café".encode("latin-1"))
    (blog / os.fsdecode(b"bad\xff.md")).write_text("Hello.", encoding="utf-8")
    result, posts = run(blog, tmp_path)
    found = {problem.path: problem for problem in result.problems}
    assert [post.path for post in posts] == ["bad\ufffd.md", "good.md", "latin.md"]
    assert found["nul.md"].lost
    assert "NUL" in found["nul.md"].reason
    assert "not a Word document" in found["fake.docx"].reason
    assert not found["latin.md"].lost
    assert found["empty.md"].reason == "has no text of its own"
    assert result.counts["unreadable files"] == 2
    with pytest.raises(UnreadableFile, match=r"fake\.docx"):
        run(blog, tmp_path, strict=True)


def test_a_folder_without_posts_says_what_was_looked_for_and_what_was_seen(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    with pytest.raises(InputError, match="is not there") as refused:
        run(blog, tmp_path / "out")
    assert "--input-dir" in refused.value.hint
    blog.mkdir()
    with pytest.raises(NothingUsable, match="no files at all"):
        run(blog, tmp_path / "out")
    (blog / "a.html").touch()
    (blog / "b.md").touch()
    with pytest.raises(
        NothingUsable, match=r"looked for \.docx .* saw 1 of another kind: \.html, 1 of another kind: \.md"
    ):
        run(blog, tmp_path / "out", formats=["docx"])
    (blog / "b.md").write_bytes(b"\0")
    with pytest.raises(NothingUsable, match=r"none of the posts in .* b\.md holds NUL"):
        run(blog, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*"))


@pytest.fixture
def shut() -> Iterator[Path]:
    """A folder for files without rights, seen by a user whom rights bind (root is bound by none)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            path.chmod(stat.S_IRWXU)
        shutil.rmtree(folder)


def test_what_may_not_be_read_is_listed_and_a_shut_blog_folder_is_an_error(shut: Path) -> None:
    blog = shut / "blog"
    for name in ("good.md", "mine.md", "closet/a.md"):
        (blog / name).parent.mkdir(parents=True, exist_ok=True)
        (blog / name).write_text("Hello there.", encoding="utf-8")
    (blog / "mine.md").chmod(0)
    (blog / "closet").chmod(0)
    result, posts = run(blog, shut / "out")
    assert [post.path for post in posts] == ["good.md"]
    assert {problem.path: problem.reason for problem in result.problems} == {
        "closet": "cannot be opened: permission denied",
        "mine.md": "cannot be opened: permission denied",
    }
    blog.chmod(0)
    with pytest.raises(InputError, match="permission denied") as refused:
        run(blog, shut / "out")
    assert "chmod" in refused.value.hint
    blog.chmod(stat.S_IRWXU)


def many_posts(blog: Path, count: int) -> None:
    blog.mkdir()
    for number in range(count):
        text = (
            f"---\ntitle: Post {number}\ndate: 2020-01-01\n---\n\nThe {number}th day, with ![a picture](x.png) of it.\n"
        )
        (blog / f"{number:04d}.md").write_text(text, encoding="utf-8")


def test_many_workers_make_the_same_bytes_as_one(tmp_path: Path) -> None:
    many_posts(tmp_path / "blog", 400)
    made = []
    for threads in (1, 2):
        output = tmp_path / str(threads)
        settings = load_settings(
            None, {"data": {"input_dir": tmp_path / "blog", "output_dir": output}, "machine": {"threads": threads}}
        )
        ingest.run(settings, Workspace.here(settings), Silent())
        made.append([(output / name).read_bytes() for name in ("raw_blogs.jsonl", "ingest_report.json")])
    assert made[0] == made[1]


def test_only_what_has_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blog = tmp_path / "blog"
    many_posts(blog, 20)
    _, before = run(blog, tmp_path / "out")
    (blog / "0003.md").write_text("# Another\n\nQuite another text.", encoding="utf-8")
    (blog / "0005.md").unlink()
    (blog / "0004a.md").write_text("A new one.", encoding="utf-8")
    read: list[str] = []
    file = Reader.file
    monkeypatch.setattr(Reader, "file", lambda self, found: read.append(found.path) or file(self, found))
    _, after = run(blog, tmp_path / "out")
    assert read == ["0003.md", "0004a.md"]
    assert len(after) == 20
    unchanged = [post for post in before if post.path not in ("0003.md", "0005.md")]
    assert [post for post in after if post.path not in ("0003.md", "0004a.md")] == unchanged
    fresh, posts = run(blog, tmp_path / "fresh")
    assert posts == after
    report = (tmp_path / "fresh" / "ingest_report.json").read_bytes()
    assert (tmp_path / "out" / "ingest_report.json").read_bytes() == report
    assert fresh.counts == run(blog, tmp_path / "out")[0].counts


def test_other_settings_and_damaged_output_have_everything_read_again(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    blog.mkdir()
    (blog / "a.md").write_text("Said so.\n\n```\ncode\n```\n", encoding="utf-8")
    assert "code" in run(blog, tmp_path / "out")[1][0].text
    assert run(blog, tmp_path / "out", drop=["code"])[1][0].text == "Said so."
    (tmp_path / "out" / "raw_blogs.jsonl").write_text("", encoding="utf-8")
    assert run(blog, tmp_path / "out", drop=["code"])[1][0].text == "Said so."


def test_the_report_accounts_for_every_file(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    blog.mkdir()
    (blog / "kept.md").write_text("Nothing but words.", encoding="utf-8")
    (blog / "cut.md").write_text("Words.\n\n<!-- three of mine -->\n", encoding="utf-8")
    (blog / "empty.md").write_text("![nothing](x.png)", encoding="utf-8")
    (blog / "bad.md").write_bytes(b"\0")
    (blog / "x.png").touch()
    (blog / "README.md").write_text("About this folder.", encoding="utf-8")
    (tmp_path / "secret.md").write_text("Not in the blog.", encoding="utf-8")
    (blog / "link.md").symlink_to(tmp_path / "secret.md")
    result, posts = run(blog, tmp_path / "out")
    reports = {one.path: one for one in file_reports.read(tmp_path / "out" / "ingest_report.json")}
    assert {path: one.verdict for path, one in reports.items()} == {
        "README.md": "passed over",
        "bad.md": "unreadable",
        "cut.md": "cut",
        "empty.md": "dropped",
        "kept.md": "kept",
        "link.md": "passed over",
        "x.png": "passed over",
    }
    assert [post.path for post in posts] == ["cut.md", "kept.md"]
    assert (reports["cut.md"].words_before, reports["cut.md"].words_after) == (4, 1)
    assert sum(reports["cut.md"].cuts.values()) == 3
    assert "a link out of the folder" in reports["link.md"].reasons[0]
    assert json.loads((tmp_path / "out" / "ingest_report.json").read_text("utf-8"))["files"][2]["path"] == "cut.md"
    assert {(one.verdict, one.what) for one in result.tallies} >= {("dropped", "has no text of its own")}


def test_a_post_that_says_nothing_of_its_date_has_the_day_git_first_saw_it(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    blog.mkdir()
    (blog / "undated.md").write_text("A post without a date.", encoding="utf-8")
    (blog / "dated.md").write_text("---\ndate: 2001-02-03\n---\nA post with one.", encoding="utf-8")
    moment = {"GIT_AUTHOR_DATE": "2011-05-06T07:08:09Z", "GIT_COMMITTER_DATE": "2011-05-06T07:08:09Z"}
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "posts"]):
        subprocess.run(["git", *command], cwd=blog, check=True, env=os.environ | moment)
    posts = {post.path: post for post in run(blog, tmp_path / "out")[1]}
    assert posts["undated.md"].created_from == "git"
    assert posts["undated.md"].created_at == datetime(2011, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert posts["dated.md"].created_from == "front matter"


def test_one_language_and_one_author_can_be_chosen(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    blog.mkdir()
    (blog / "de.md").write_text("---\nlang: de-DE\n---\nDas Brot war gut.", encoding="utf-8")
    (blog / "en.md").write_text("---\nlang: en\nauthor: Jane Doe\n---\nThe bread was good.", encoding="utf-8")
    (blog / "guest.md").write_text("---\nlang: en\nauthor: Bob Roe\n---\nMy bread was better.", encoding="utf-8")
    result, posts = run(blog, tmp_path / "out", language="en", author="jane doe")
    assert [post.path for post in posts] == ["en.md"]
    assert {problem.path for problem in result.problems if problem.lost} == {"de.md", "guest.md"}


def test_an_export_becomes_posts_like_a_folder(tmp_path: Path) -> None:
    export = tmp_path / "feed.xml"
    items = "".join(
        f"<item><title>Day {day}</title><link>https://example.org/{day}</link>"
        f"<pubDate>Mon, 0{day} Jun 2020 10:00:00 GMT</pubDate>"
        f"<description>&lt;p&gt;Day {day} was &lt;em&gt;fine&lt;/em&gt;.&lt;/p&gt;</description></item>"
        for day in (1, 2)
    )
    export.write_text(f"<rss version='2.0'><channel><title>Days</title>{items}</channel></rss>", encoding="utf-8")
    result, posts = run(export, tmp_path / "out")
    assert sorted(post.title for post in posts) == ["Day 1", "Day 2"]
    assert {post.text for post in posts} == {"Day 1 was *fine*.", "Day 2 was *fine*."}
    assert result.counts["posts"] == 2
    seen = preview(load_settings(None, {"data": {"input_dir": export}}), Path(posts[0].path))
    assert seen.post == posts[0]


def test_a_post_is_shown_before_and_after(tmp_path: Path) -> None:
    (tmp_path / "post.md").write_text("---\ntitle: Bread\n---\n\nIt rose.\n\n{% include ad.html %}\n", encoding="utf-8")
    seen = preview(load_settings(None, {"data": {"input_dir": tmp_path}}), Path("post.md"))
    assert "{% include" in seen.before
    assert "title: Bread" in seen.before
    assert seen.post
    assert (seen.post.title, seen.post.text) == ("Bread", "It rose.")
    with pytest.raises(InputError, match="is not there"):
        preview(load_settings(None, {"data": {"input_dir": tmp_path}}), Path("nowhere.md"))
