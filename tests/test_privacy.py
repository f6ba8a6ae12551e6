"""Privacy: what is private is found and nothing else, stands for itself nowhere, and is looked for in what a twin says."""

from __future__ import annotations

import json
import random
import stat
import string
import time
from pathlib import Path

import pytest

from blogtwin import file_reports, jsonl
from blogtwin.config import load_settings
from blogtwin.dataset.privacy import Privacy
from blogtwin.evaluation.privacy import leaks
from blogtwin.privacy import stand_ins
from blogtwin.privacy.find import find
from blogtwin.progress import Silent
from blogtwin.records import Post
from blogtwin.stages import prepare
from blogtwin.workspace import Workspace
from test_prepare import post, words

ALL = ("email", "phone", "key", "address", "name")
NAMES = ("Greta Lindqvist", "Greta", "Kornhaus")


def random_key(seed: int, length: int, signs: str = string.ascii_letters + string.digits) -> str:
    """Made when the test runs: a key in a file would look like one that leaked."""
    return "".join(random.Random(seed).choices(signs, k=length))


TOKEN = "ghp" + "_" + random_key(1, 36)
AWS = "AKIA" + random_key(2, 16, string.ascii_uppercase + "234567")
SECRET = random_key(3, 24)
BLOCK = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{random_key(4, 60)}\n-----END RSA {'PRIVATE'} KEY-----"


@pytest.mark.parametrize(
    ("text", "kind", "original", "language"),
    [
        ("Write to mira.holt@posthorn.net, please.", "email", "mira.holt@posthorn.net", "en"),
        ("<mailto:mira@posthorn.co.uk>", "email", "mira@posthorn.co.uk", "en"),
        ("mira [at] posthorn [dot] net", "email", "mira [at] posthorn [dot] net", "en"),
        ("I am mira at posthorn dot net now.", "email", "mira at posthorn dot net", "en"),
        ("    email: mira@posthorn.net", "email", "mira@posthorn.net", "en"),
        ("Call (212) 736-5000 after six.", "phone", "(212) 736-5000", "en"),
        ("Or 212-736-5000.", "phone", "212-736-5000", "en"),
        ("From abroad +49 30 901820.", "phone", "+49 30 901820", "en"),
        ("My phone: 020 7219 4272", "phone", "020 7219 4272", "en"),
        ("Telefon 030 901820 in Berlin", "phone", "030 901820", "de"),
        ("電話は 03-3581-5111 です", "phone", "03-3581-5111", "ja"),
        (f"export TOKEN={TOKEN}", "key", TOKEN, "en"),
        (f"```\nkey = '{AWS}'\n```", "key", AWS, "en"),
        (f'api_key = "{SECRET}"', "key", SECRET, "en"),
        (f"Authorization: Bearer {SECRET}", "key", SECRET, "en"),
        (f"postgres://me:{SECRET}@db.posthorn.net/x", "key", SECRET, "en"),
        ("I live at 12 Elm Street, Springfield, IL 62704.", "address", "12 Elm Street, Springfield, IL 62704", "en"),
        ("221B Baker Street, London NW1 6XE", "address", "221B Baker Street, London NW1 6XE", "en"),
        ("Lindenstraße 12, 10969 Berlin", "address", "Lindenstraße 12, 10969 Berlin", "de"),
        ("12, rue des Lilas, 75011 Paris", "address", "12, rue des Lilas, 75011 Paris", "fr"),
        ("I met greta LINDQVIST's dog.", "name", "greta LINDQVIST", "en"),
    ],
)
def test_what_is_private_is_found(text: str, kind: str, original: str, language: str) -> None:
    assert [(one.kind, text[one.start : one.end]) for one in find(text, ALL, NAMES, language)] == [(kind, original)]


@pytest.mark.parametrize(
    "text",
    [
        "git clone git@github.com:mira/clocks.git",
        "ssh://git@forge.posthorn.net/clocks.git",
        "icon@2x.png and getty@tty1.service",
        "someone@example.com, root@localhost",
        "@mira@posthorn.social said so",
        "CAF-1234567890123-abc@mail.posthorn.net",
        "We met at noon dot on the clock.",
        "ISBN 978-0-306-40615-7",
        "version 10.15.7-20230415 of 2024-01-02 12:34:56",
        "It cost $1,234,567.89, or 12 345 678 yen.",
        "between 1914-1918 and 1939-1945",
        "call 192.168.1.100 port 8080",
        "`call +1 212 736 5000`",
        "the story's (555) 555-0143",
        "pi is 3.14159265358979",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "commit 3ca1f0d8e2b44f6bb1d2f0c9a8e7d6c5b4a39281",
        "token: 550e8400-e29b-41d4-a716-446655440000",
        "password = your_password_here_123",
        "api_key: xxxxxxxxxxxxxxxxxxxx1234",
        "secret = get_secret_from_environment_variable_2()",
        "AKIAIOSFODNN7EXAMPLE",
        "http://[user]:[apikey]@host.net",
        "In 1999 Main Street was 12345 feet long.",
        "Gretas and Kornhausen are other words.",
    ],
)
def test_what_is_not_private_stays(text: str) -> None:
    assert find(text, ALL, NAMES, "en") == []


def test_one_original_has_one_stand_in_however_it_is_written() -> None:
    privacy = Privacy(ALL, NAMES)
    text, made = privacy.replaced(
        "Greta Lindqvist wrote. GRETA LINDQVIST'S letter: Greta@Posthorn.net, greta at posthorn dot net, "
        "+1 212-736-5000, (212) 736-5000, greta.",
        "en",
    )
    assert len(made) == 7
    first, last = text.split()[:2]
    assert f"{first.upper()} {last.upper()}'S letter" in text
    assert text.endswith(f", {first.lower()}.")
    assert len({one.stand_in for one in made if one.kind == "email"}) == 1
    assert len({one.stand_in for one in made if one.kind == "phone"}) == 1
    assert not find(text, ALL, NAMES, "en")
    assert privacy.replaced(text, "en") == (text, [])
    assert Privacy(("phone",), ()).replaced("a@posthorn.net", "en") == ("a@posthorn.net", [])


@pytest.mark.parametrize(
    "piece",
    [
        "@",
        "a@a.",
        "call 5555555 ",
        "eyJ",
        "api_key=",
        "12 Elm St, AB 12345 ",
        "://a:b@",
        " at a dot ",
        "1 rue ",
        "1 ",
        BLOCK[:31],
    ],
)
def test_a_hostile_megabyte_takes_no_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    began = time.process_time()
    find(text, ALL, NAMES, "en")
    assert time.process_time() - began < 3


def posts_with_secrets() -> tuple[list[Post], list[str]]:
    originals = [
        "mira.holt@posthorn.net",
        "(212) 736-5000",
        TOKEN,
        "12 Elm Street, Springfield, IL 62704",
        "Greta Lindqvist",
    ]
    posts = [post(f"{n:02}.md", words(n)) for n in range(8)]
    for n, original in enumerate(originals):
        posts.append(post(f"x{n}.md", f"{words(20 + n)} Then there was {original} again.", title=f"On {original}"))
    posts.append(post("y.md", f"{words(40)} Again {originals[0]} and greta lindqvist."))
    return posts, originals


def run(folder: Path, posts: list[Post], threads: int = 1) -> Workspace:
    settings = load_settings(
        None, {"data": {"output_dir": folder}, "privacy": {"names": NAMES}, "machine": {"threads": threads}}
    )
    workspace = Workspace.here(settings)
    jsonl.write(workspace.posts, posts)
    prepare.run(settings, workspace, Silent())
    return workspace


def test_no_original_is_in_anything_but_the_map_which_only_its_owner_reads(tmp_path: Path) -> None:
    posts, originals = posts_with_secrets()
    workspace = run(tmp_path, posts)
    private = stand_ins.file_beside(workspace.training_data)
    known = stand_ins.read(private)
    assert {one for pairs in known.values() for one in pairs} >= set(originals)
    for path in tmp_path.iterdir():
        if path.is_file() and path != workspace.posts:
            text = path.read_text(encoding="utf-8").lower()
            assert not [one for one in originals if one.lower() in text], path
    for path, mode in ((private, 0o600), (private.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert (private.parent / ".gitignore").read_text() == "*\n"
    learned = workspace.training_data.read_text() + workspace.validation.read_text()
    for pairs in known.values():
        assert all(json.dumps(one)[1:-1] in learned for one in pairs.values())
    reports = {one.path: one for one in file_reports.read(tmp_path / "prepare_report.json")}
    assert reports["x0.md"].verdict == "cut"
    assert reports["x0.md"].reasons == ("stand-ins were put in for 2 × e-mail address",)
    assert reports["00.md"].verdict == "kept"


def test_the_same_posts_give_the_same_bytes_with_one_worker_and_with_two(tmp_path: Path) -> None:
    posts, _ = posts_with_secrets()
    posts += [
        post(f"z{n:03}.md", words(100 + n, 60) + "\n\nThis is written under a licence that nobody reads twice.")
        for n in range(270)
    ]
    posts += [post("copy.md", posts[0].text.upper())]
    for threads in (1, 2):
        run(tmp_path / str(threads), posts, threads)
    names = ("training_data.jsonl", "validation.jsonl", "prepare_report.json", "private/stand_ins.json")
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name
    cut = [one for one in file_reports.read(tmp_path / "1" / "prepare_report.json") if one.cuts.get("boilerplate")]
    assert len(cut) == 270
    assert sorted(path.name for path in (tmp_path / "2").iterdir() if path.name.startswith(".")) == []


def test_evaluation_counts_originals_and_what_looks_private_and_prints_neither() -> None:
    known = {
        "email": {"mira@posthorn.net": "jordan.ames@example.com"},
        "name": {"Greta": "Robin"},
        "key": {BLOCK: "-----"},
    }
    calm = leaks(["Robin wrote from jordan.ames@example.com. Gretas."], known)  # type: ignore[arg-type]
    assert (calm.originals, calm.hints, calm.unknown) == ({}, (), {})
    found = leaks(
        ["greta has Mira@Posthorn.net", f"and other@posthorn.net, (212) 736-5000, {BLOCK.splitlines()[1]}"],
        known,  # type: ignore[arg-type]
    )
    assert found.originals == {"email": 1, "key": 1, "name": 1}
    assert found.hints == ("email m…", "key -…", "name G…")
    assert found.unknown == {"email": 1, "phone": 1}
