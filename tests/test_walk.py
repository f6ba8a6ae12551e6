"""Walking a blog folder: every file is named once, in one order, with the reason why it is no post."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from blogtwin.sources.walk import Found, walk

ENDINGS = {"md", "txt", "docx", "rst", "html"}


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def reasons(folder: Path) -> dict[str, str | None]:
    return {found.path: found.reason for found in walk(folder, ENDINGS)}


def test_files_come_in_the_order_of_their_paths_parts_with_size_and_time(tmp_path: Path) -> None:
    fill(tmp_path, "b.md", "a.md", "a/z.md", "a/b/c.md", "a-b.md", "Ä.md", "B.MD")
    (tmp_path / "b.md").write_bytes(b"four")
    os.utime(tmp_path / "b.md", ns=(5, 1_234_567_890_000_000_007))
    found = list(walk(tmp_path, ENDINGS))
    assert [one.path for one in found] == ["B.MD", "a/b/c.md", "a/z.md", "a-b.md", "a.md", "b.md", "Ä.md"]
    assert found[-2] == Found("b.md", 4, 1_234_567_890_000_000_007, None)
    assert [one.path.split("/") for one in found] == sorted(one.path.split("/") for one in found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("post.md", None),
        ("2019-03-10-old.html.md", None),
        ("about.md", None),  # an about page is the author's voice
        ("license-to-kill.md", None),
        ("notes on 404.md", None),
        ("README.ja.md", "a README"),
        ("_index.en.md", "a list page"),
        ("404.html", "an error page"),
        ("LICENSE.txt", "a license"),
        ("LICENSE-MIT.md", "a license"),
        ("CONTRIBUTING.md", "about the repository, no post"),
        ("robots.txt", "for robots, no post"),
        ("requirements.txt", "part of a program"),
        ("requirements-dev.txt", "part of a program"),
        ("CMakeLists.txt", "part of a program"),
        (".draft.md", "hidden"),
        ("~$d.docx", "left behind by an editor"),
        ("photo.JPG", "of another kind: .jpg"),
        ("Makefile", "of another kind: no ending"),
        (".git/x.md", "hidden"),
        ("node_modules/a/x.md", "other people's programs"),
        ("_layouts/x.html", "a site's templates"),
        ("public/x.html", None),
    ],
)
def test_what_is_no_post_is_passed_over_with_its_reason(tmp_path: Path, name: str, reason: str | None) -> None:
    fill(tmp_path, name)
    (found,) = walk(tmp_path, ENDINGS)
    assert found.reason == reason
    assert name.startswith(found.path)


def test_a_generated_site_is_left_out_where_its_generator_is_at_home(tmp_path: Path) -> None:
    fill(tmp_path, "hugo.toml", "public/x.html", "archetypes/default.md", "content/public/x.md")
    assert reasons(tmp_path) == {
        "archetypes": "a site's templates",
        "content/public/x.md": None,
        "hugo.toml": "of another kind: .toml",
        "public": "made by a site generator from the posts",
    }


def test_text_beside_an_index_is_its_attachment(tmp_path: Path) -> None:
    fill(tmp_path, "a/index.en.md", "a/log.txt", "a/2020-01-02-x.txt", "b/log.txt", "b/_index.md")
    found = reasons(tmp_path)
    assert found["a/log.txt"] == "a text attachment of index.en.md"
    assert found["a/2020-01-02-x.txt"] is None
    assert found["b/log.txt"] is None


def test_links_do_not_lead_out_of_the_folder_nor_round(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    fill(blog, "a/c.md", ".store/kept.md")
    fill(tmp_path, "secret/key.md")
    (blog / "a" / "round").symlink_to(blog)
    (blog / "again").symlink_to(blog / "a")
    (blog / "copy.md").symlink_to(blog / "a" / "c.md")
    (blog / "kept.md").symlink_to(blog / ".store" / "kept.md")
    (blog / "gone.md").symlink_to(blog / "nowhere")
    (blog / "self.md").symlink_to(blog / "self.md")
    (blog / "out").symlink_to(tmp_path / "secret")
    (blog / "out.md").symlink_to(tmp_path / "secret" / "key.md")
    (blog / "up.md").symlink_to("../secret/key.md")
    os.mkfifo(blog / "pipe.md")
    found = reasons(blog)
    assert {path for path, reason in found.items() if reason is None} == {"a/c.md", "kept.md"}
    assert found["out"] == found["out.md"] == found["up.md"] == "a link out of the folder"
    assert found["again"] == found["a/round"] == "a link to a folder that is read in its own place"
    assert found["copy.md"] == "a link to a file that is read in its own place"
    assert found["gone.md"] == "a link that leads nowhere"
    assert found["pipe.md"] == "not a regular file"
    assert "self.md" in found


def test_a_blog_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    fill(tmp_path / "real", "x.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert reasons(tmp_path / "link") == {"x.md": None}


def test_a_folder_that_stays_shut_is_named(tmp_path: Path) -> None:
    (found,) = walk(tmp_path / "nowhere", ENDINGS)
    assert (found.path, found.reason) == (".", "cannot be opened: no such file or directory")


def test_memory_does_not_grow_with_the_number_of_folders(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{year}/{n}.md" for year in range(40) for n in range(50)))
    tracemalloc.start()
    count = sum(1 for _ in walk(tmp_path, ENDINGS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2000
    assert peak < 150_000
