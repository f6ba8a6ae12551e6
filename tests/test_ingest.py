"""The ingest stage: every readable post arrives, every other file is named with its reason, and nothing is half-written."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from blogtwin import jsonl
from blogtwin.config import load_settings
from blogtwin.errors import InputError, NothingUsable, UnreadableFile
from blogtwin.progress import Silent
from blogtwin.records import Post
from blogtwin.stages import ingest
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
    assert [post.path for post in posts] == ["bad\ufffd.md", "empty.md", "good.md", "latin.md"]
    assert found["nul.md"].lost
    assert "NUL" in found["nul.md"].reason
    assert "not a Word document" in found["fake.docx"].reason
    assert not found["latin.md"].lost
    assert found["empty.md"].reason == "has no text"
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
    with pytest.raises(NothingUsable, match=r"looked for \.docx .* saw 2 other files \(1 \.html, 1 \.md\)"):
        run(blog, tmp_path / "out", formats=["docx"])
    with pytest.raises(InputError, match="is a file, not a folder"):
        run(blog / "b.md", tmp_path / "out")
    (blog / "b.md").write_bytes(b"\0")
    with pytest.raises(NothingUsable, match=r"none of the 1 posts .* NUL"):
        run(blog, tmp_path / "out")
    assert not (tmp_path / "out").exists()


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
