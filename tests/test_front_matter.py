"""Front matter in every spelling: what it says arrives, it never stays in the text, and what is broken is reported."""

from __future__ import annotations

import pytest

from blogtwin.sources import drafts, front_matter, language, metadata
from blogtwin.sources.compose import composed

BODY = "Hello there."


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("---\ntitle: A day\ntags: [a, b]\n---\n", {"title": "A day", "tags": ["a", "b"]}),
        ("---\ntitle: No\n...\n", {"title": "No"}),
        ("\n\n---  \ntitle: A\n---  \n", {"title": "A"}),
        ("---\ntitle: A\n-----\n", {"title": "A"}),
        ("---\n---\n", {}),
        ("---yaml\ntitle: A\n---\n", {"title": "A"}),
        ("---json\n{\"title\": \"A\"}\n---\n", {"title": "A"}),
        ("---toml\ntitle = 'A'\n---\n", {"title": "A"}),
        ("+++\ntitle = 'A'\n[extra]\nx = 1\n+++\n", {"title": "A", "extra": {"x": 1}}),
        ('{\n  "title": "A",\n  "tags": ["b"]\n}\n', {"title": "A", "tags": ["b"]}),
        ('"title": "A",\n"date": "2020-01-02"\n;;;\n', None),
        (';;;\n"title": "A",\n"date": "2020-01-02"\n;;;\n', {"title": "A", "date": "2020-01-02"}),
        ("Title: A\nDate: 2020-01-02\nSummary: a\n  b\n\n", {"title": "A", "date": "2020-01-02", "summary": "a b"}),
        ("title: A\ndate: 2020-01-02\n---\n", {"title": "A", "date": "2020-01-02"}),
        ("<!--\n.. title: A\n.. slug: a\n.. tags: x, y\n-->\n\n", {"title": "A", "slug": "a", "tags": "x, y"}),
        ("% A\n% Ada\n% 2020-01-02\n\n", {"title": "A", "author": "Ada", "date": "2020-01-02"}),
    ],
)  # fmt: skip
def test_every_kind_is_read_and_taken_off_the_text(text: str, values: dict[str, object] | None) -> None:
    found = front_matter.split(text + BODY)
    if values is None:
        assert found.body == text + BODY
        return
    assert (dict(found.values), found.body, found.remarks) == (values, BODY, ())


@pytest.mark.parametrize(
    ("block", "title", "line"),
    [
        ("title: One: two", "One: two", 2),
        ("date: 2020-01-02\ntitle: One: two", "One: two", 3),
        ('title: "a" b', '"a" b', 2),
        ('title: "Unclosed', "Unclosed", 2),
        ("title: 'It's late'", "It's late", 2),
        ("title: @home", "@home", 2),
        ("title: `code` first", "`code` first", 2),
        ("title: [draft] a thought", "[draft] a thought", 2),
        ("title: %d things", "%d things", 2),
        ("title: *starred* day", "*starred* day", 2),
        ("title: A\n\ttags: b: c", "A", 3),
        ("title:\u00a0A: b", "A: b", 2),
        ("title: A\ntags:\n\t- b", "A", 4),
        ("title: & more", "& more", 2),
        ("title: A\n? [\n: {", "A", 4),
    ],
)
def test_what_a_person_could_read_is_mended_and_reported_with_its_line(block: str, title: str, line: int) -> None:
    found = front_matter.split(f"---\n{block}\n---\n{BODY}")
    assert (found.values["title"], found.body) == (title, BODY)
    assert found.remarks[0].startswith(f"line {line}: the front matter is not YAML")


def test_front_matter_without_its_closing_rule_ends_at_the_blank_line() -> None:
    found = front_matter.split("---\ntitle: A day\ntags: x\n\nIt rained.\n\n---\n\nThen it stopped.")
    assert found.values == {"title": "A day", "tags": "x"}
    assert found.body == "It rained.\n\n---\n\nThen it stopped."
    assert "no closing ---" in found.remarks[0]
    assert front_matter.split("---\ntitle: A day\n\nIt rained.").body == "It rained."


def test_the_last_of_two_equal_keys_counts_and_both_are_reported() -> None:
    found = front_matter.split("---\ntitle: A\ntags: x\ntitle: B\n---\nHello.")
    assert (found.values["title"], found.remarks) == ("B", ("line 4: 'title' is there twice; the last was taken",))
    assert "twice" in front_matter.split("Title: A\nDate: 2020\nTitle: B\n\nHello.").remarks[0]


def test_broken_toml_and_json_are_reported_and_their_lines_are_used() -> None:
    toml = front_matter.split("+++\ntitle = A day\ndate = 2020-01-02\n+++\nHello.")
    assert (toml.values["title"], toml.values["date"], toml.body) == ("A day", "2020-01-02", "Hello.")
    assert toml.remarks[0].startswith("line 2: the front matter is not TOML")


@pytest.mark.parametrize(
    "text",
    [
        "---\nJust a thought between rules.\n---\n\nAnd more.",
        "---\nRemember: a sentence with a colon, between two rules, is still only text.\n---\nMore.",
        "---\n\nA rule, then text.\n",
        "----\n\nAnother rule.",
        "+++\nno pairs here\n+++\ntext",
        "{% include x.html %}\n\nText.",
        "{{< figure src=1 >}}\n\nText.",
        '{"key": "some JSON a post begins with"}\n\nText.',
        "Note: this\nis text.\n",
        "Title: of something\n\nis text, too.",
        "%this is no title block\n",
        "",
        "---",
    ],
)
def test_text_that_only_looks_like_front_matter_stays_text(text: str) -> None:
    assert front_matter.split(text) == front_matter.FrontMatter({}, text)


@pytest.mark.parametrize(
    "bomb", ["[" * 30_000, "- " * 30_000, "? " * 30_000, "{a: " * 15_000, "a: &a [*a]", "!!python/x y"]
)
def test_a_hostile_block_neither_ends_the_process_nor_hides_the_post(bomb: str) -> None:
    found = front_matter.split(f"---\ntitle: T\nx: 1\ny: {bomb}\n---\nHello.")
    assert (found.values["title"], found.body) == ("T", "Hello.")


@pytest.mark.parametrize(
    ("values", "author"),
    [
        ({"author": "Ada"}, "Ada"),
        ({"Author": {"name": "Ada", "url": "x"}}, "Ada"),
        ({"authors": ["Ada", "Bob"]}, "Ada, Bob"),
        ({"authors": [{"name": "Ada"}, {"name": "Bob"}]}, "Ada, Bob"),
        ({"by": "Ada"}, "Ada"),
        ({"byline": "Ada"}, "Ada"),
        ({"posted_by": "Ada"}, "Ada"),
        ({"author": "Owner", "guest_author": "Ada"}, "Ada"),
        ({"author": "Ada <ada@example.org>"}, "Ada"),
        ({"author": "[Ada](https://example.org)"}, "Ada"),
        ({"extra": {"author": "Ada"}}, "Ada"),
        ({"author": ""}, None),
        ({"author": True}, None),
    ],
)
def test_an_author_is_found_in_all_spellings(values: dict[str, object], author: str | None) -> None:
    assert metadata.author(metadata.folded(values)) == author


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        ({"tags": ["a b", "c"]}, ("a b", "c")),
        ({"tags": ["F#", "#garden"]}, ("F#", "garden")),
        ({"tags": "a b"}, ("a", "b")),
        ({"tags": "a b, c"}, ("a b", "c")),
        ({"Tags": "a; b"}, ("a", "b")),
        ({"category": "Two words"}, ("Two words",)),
        ({"categories": ["A"], "tags": ["A", "b"]}, ("A", "b")),
        ({"taxonomies": {"tags": ["a"]}}, ("a",)),
        ({"filetags": ":a:b:"}, ("a", "b")),
        ({"tags": [{"name": "A", "slug": "a"}]}, ("A",)),
        ({"tags": "#a #b"}, ("a", "b")),
        ({"tags": None}, ()),
    ],
)
def test_tags_are_found_in_all_spellings(values: dict[str, object], tags: tuple[str, ...]) -> None:
    assert set(metadata.tags(metadata.folded(values))) == set(tags)


@pytest.mark.parametrize(
    ("values", "draft"),
    [
        ({"draft": "true"}, True),
        ({"Draft": True}, True),
        ({"draft": "t"}, True),
        ({"draft": "false"}, False),
        ({"published": "false"}, True),
        ({"published": "2020-01-02"}, False),
        ({"publish": "no"}, True),
        ({"hidden": "yes"}, True),
        ({"unlisted": "1"}, True),
        ({"private": "true"}, True),
        ({"status": "draft"}, True),
        ({"status": "Private"}, True),
        ({"status": "pending"}, True),
        ({"status": "published"}, False),
        ({"visibility": "hidden"}, True),
        ({"visibility": "public"}, False),
        ({"dg-publish": "false"}, True),
        ({"tags": ["draft", "x"]}, True),
        ({"categories": "Drafts"}, True),
        ({"title": "draft"}, False),
        ({}, False),
    ],
)
def test_a_draft_is_known_in_all_spellings(values: dict[str, object], draft: bool) -> None:
    assert drafts.is_draft(metadata.folded(values)) is draft


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("en", "en"), ("en-US", "en"), ("en_GB.UTF-8", "en"), ("English", "en"), ("ja_JP", "ja"), ("zh-Hans", "zh"),
        ("deutsch", "de"), ("jpn", "ja"), ("pt-BR", "pt"), ("日本語", "ja"), ("klingon", None), ("", None),
    ],
)  # fmt: skip
def test_a_language_has_one_code_however_it_is_called(said: str, code: str | None) -> None:
    assert language.code(said) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The clock in the hall stopped on a Tuesday, and nobody in the house noticed until the soup was cold.", "en"),
        (
            "Die Uhr im Flur blieb an einem Dienstag stehen, und niemand im Haus merkte es, bis die Suppe kalt war.",
            "de",
        ),
        ("廊下の時計は火曜日に止まったが、スープが冷めるまで家の誰も気がつかなかった。", "ja"),
        (
            "```\nthe and of is was the\n```\n\nL'horloge du couloir s'est arrêtée un mardi, et personne ne l'a remarqué.",
            "fr",
        ),
        ("GitHub Release Notes GitHub Advisory Database RSS Feed JSON Feed のフィードがなかったので作りました。", "ja"),
        ("Hm.", None),
        ("```\nfor line in lines: print(line)\n```", None),
    ],
)
def test_the_language_of_a_text_is_told_from_its_prose(text: str, code: str | None) -> None:
    assert language.detect(text) == code


@pytest.mark.parametrize(
    ("title", "body", "found"),
    [
        ("A &amp; b", "Text.", ("A & b", "Text.")),
        ("*A* `b` [c](d)", "Text.", ("A b c", "Text.")),
        ("A day", "# A day\n\nText.", ("A day", "Text.")),
        ("A day", "A *day*\n=====\n\nText.", ("A day", "Text.")),
        ("A day", "# Another\n\nText.", ("A day", "# Another\n\nText.")),
        (None, "# A day\n\nText.", ("A day", "Text.")),
        (None, "Text.\n\n# A\n\n# B", (None, "Text.\n\n# A\n\n# B")),
        (None, "Text.\n\n# A\n\nMore.", ("A", "Text.\n\nMore.")),
        (None, "> # quoted\n\nText.", (None, "> # quoted\n\nText.")),
        (None, "```sh\n# comment\n```", (None, "```sh\n# comment\n```")),
        (None, "Ünï — ß\n\nTïtle é\n=====\n\nText.", ("Tïtle é", "Ünï — ß\n\nText.")),
    ],
)
def test_a_title_is_found_once(title: str | None, body: str, found: tuple[str | None, str]) -> None:
    document = composed("markdown", body, {"title": title} if title else {})
    assert (document.title, document.text) == found
