"""Exports of blog hosts: the posts come out, whole and once; pages, comments and bombs do not."""

from __future__ import annotations

import json
import pickle
import resource
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blogtwin.errors import InputError, UnreadableFile
from blogtwin.sources.base import Document
from blogtwin.sources.exports.choose import export_for

WXR = """<?xml version="1.0" encoding="UTF-8" ?>
<!-- generator="WordPress/6.4" created="2024-01-01 10:00" -->
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:wfw="http://wellformedweb.org/CommentAPI/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Tides</title><language>en-GB</language>
<wp:author><wp:author_id>1</wp:author_id><wp:author_login><![CDATA[hq]]></wp:author_login>
<wp:author_display_name><![CDATA[Hester Quillam]]></wp:author_display_name></wp:author>{items}</channel></rss>"""
ITEM = """<item><title><![CDATA[{title}]]></title><pubDate>Mon, 01 Jan 2024 10:00:00 +0000</pubDate>
<dc:creator><![CDATA[hq]]></dc:creator><guid isPermaLink="false">https://tides.example/?p={id}</guid>
<content:encoded><![CDATA[{content}]]></content:encoded><excerpt:encoded><![CDATA[An excerpt.]]></excerpt:encoded>
<wp:post_id>{id}</wp:post_id><wp:post_date>2024-01-01 11:00:00</wp:post_date>
<wp:post_date_gmt>{date}</wp:post_date_gmt><wp:post_name><![CDATA[{slug}]]></wp:post_name><wp:status>{status}</wp:status>
<wp:post_type>{type}</wp:post_type><wp:post_password></wp:post_password>
<category domain="category" nicename="sea"><![CDATA[Sea]]></category>
<category domain="category" nicename="uncategorized"><![CDATA[Uncategorized]]></category>
<category domain="post_tag" nicename="boats"><![CDATA[Boats]]></category>
<wp:comment><wp:comment_id>7</wp:comment_id><wp:comment_author>Eve</wp:comment_author>
<wp:comment_content><![CDATA[A reader was here.]]></wp:comment_content></wp:comment></item>"""


def item(id: int, content: str, **given: str) -> str:
    values = {
        "title": f"Post {id}",
        "slug": f"post-{id}",
        "status": "publish",
        "type": "post",
        "date": "2024-01-01 10:00:00",
    }
    return ITEM.format(id=id, content=content, **{**values, **given})


def posts(path: Path) -> dict[str, Document]:
    found = list(export_for(path).read(path))
    assert len({name for name, _ in found}) == len(found), "two posts have one name"
    return {name: read() for name, read in found}


def zipped(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return path


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


# WordPress


def test_wordpress_gives_posts_and_drafts_and_nothing_else(tmp_path: Path) -> None:
    items = [
        item(1, "First line\nof two.\n\nSecond <em>paragraph</em>.", title="Tides &amp; boats"),
        item(2, "Unfinished.", status="draft", slug="", date="0000-00-00 00:00:00"),
        item(3, "About me.", type="page"),
        item(4, "", type="attachment", status="inherit"),
        item(5, "Older.", type="revision", status="inherit"),
        item(6, "Menu.", type="nav_menu_item"),
        item(7, "Thrown away.", status="trash"),
        item(8, "Same name.", slug="post-1"),
    ]
    found = posts(written(tmp_path / "anything.bin", WXR.format(items="".join(items))))
    assert list(found) == ["post-1", "post-2", "post-1-8"]
    first = found["post-1"]
    assert first.text == "First line  \nof two.\n\nSecond *paragraph*."
    assert (first.title, first.author, first.tags) == ("Tides & boats", "Hester Quillam", ("Sea", "Boats"))
    assert (first.created_at, first.created_from) == (datetime(2024, 1, 1, 10, tzinfo=UTC), "document")
    assert (first.format, first.draft, found["post-2"].draft) == ("html", False, True)
    assert found["post-2"].created_at == datetime(2024, 1, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "<!-- wp:paragraph -->\n<p>One\ntwo.</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:list --><ul><li>a</li>\n<li>b</li></ul>",
            "One two.\n\n- a\n- b",
        ),
        ("Before.\n<ul>\n\t<li>a</li>\n\n\t<li>b</li>\n</ul>\nAfter.", "Before.\n\n- a\n- b\n\nAfter."),
        ("Look:\n<pre>if x:\n\n    y</pre>\nDone.", "Look:\n\n```\nif x:\n\n    y\n```\n\nDone."),
        (
            'Look:\n\n[code lang="cpp"]\nvector<int> x;\n\nx &lt; y\n[/code]\n\nDone.',
            "Look:\n\n```cpp\nvector<int> x;\n\nx < y\n```\n\nDone.",
        ),
        ("<blockquote>One.\n\nTwo.</blockquote>\n\nMine.", "> One.\n>\n> Two.\n\nMine."),
        ('<a\nhref="https://a.example/">A\nlink</a>', "[A  \nlink](https://a.example/)"),
        ("One.<!--more-->\n\nTwo.", "One.\n\nTwo."),
        ("<script>\nvar a;\n\nb();</script>\n\nText.", "Text."),
        ("Since $latex x^2$ grows.", "Since $x^2$ grows."),
        (
            '<!-- wp:verse --><pre class="wp-block-verse">Tide, tide,\nwhy so wide?</pre><!-- /wp:verse -->',
            "Tide, tide,  \nwhy so wide?",
        ),
    ],
)
def test_what_was_typed_into_wordpress_is_read_as_wordpress_shows_it(
    tmp_path: Path, content: str, expected: str
) -> None:
    assert posts(written(tmp_path / "w.xml", WXR.format(items=item(1, content))))["post-1"].text == expected


def test_notes_that_wordpress_keeps_beside_a_post_are_read(tmp_path: Path) -> None:
    content = '<!-- wp:paragraph --><p>It set twice.<sup class="fn"><a href="#f1" id="f1-link">1</a></sup></p>'
    meta = "<wp:postmeta><wp:meta_key>footnotes</wp:meta_key><wp:meta_value>{}</wp:meta_value></wp:postmeta></item>"
    note = '[{"content":"In &lt;em>2014&lt;/em>.","id":"f1"}]'
    for notes, text in (
        (note, "It set twice.[^1]\n\n[^1]: In *2014*."),
        ("[{]", "It set twice.[1](#f1)"),
        ('[{"id":1}]', "It set twice.[1](#f1)"),
    ):
        one = item(1, content).replace("</item>", meta.format(notes))
        assert posts(written(tmp_path / "w.xml", WXR.format(items=one)))["post-1"].text == text


def test_a_post_without_a_title_is_called_by_its_first_words(tmp_path: Path) -> None:
    one = item(1, "The <em>tide</em> turned today, and nobody saw it but the heron.", title="")
    (found,) = posts(written(tmp_path / "w.xml", WXR.format(items=one))).values()
    assert found.title == "The tide turned today, and nobody saw it…"


def test_control_characters_do_not_spoil_an_export(tmp_path: Path) -> None:
    assert (
        posts(written(tmp_path / "w.xml", WXR.format(items=item(1, "Tide\x0b tables.\x00"))))["post-1"].text
        == "Tide tables."
    )


def test_an_export_of_any_size_takes_constant_memory(tmp_path: Path) -> None:
    content = "It rained on the harbour all day. " * 300
    path = tmp_path / "w.xml"
    head, tail = WXR.split("{items}")
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for number in range(4000):
            file.write(item(number, content))
        file.write(tail)
    assert path.stat().st_size > 40 * 2**20
    next(export_for(path).read(path))  # what is imported once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in export_for(path).read(path)) == 4000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # kilobytes


# Ghost


def ghost(posts: list[dict[str, object]]) -> str:
    data = {
        "posts": posts,
        "users": [{"id": "u1", "name": "Hester Quillam"}, {"id": "u2", "name": "Ada"}],
        "posts_authors": [
            {"post_id": "p1", "author_id": "u2", "sort_order": 1},
            {"post_id": "p1", "author_id": "u1", "sort_order": 0},
        ],
        "tags": [{"id": "t1", "name": "Sea"}, {"id": "t2", "name": "#internal"}],
        "posts_tags": [{"post_id": "p1", "tag_id": "t1"}, {"post_id": "p1", "tag_id": "t2"}],
    }
    return json.dumps({"db": [{"meta": {"exported_on": 1, "version": "5.0"}, "data": data}]})


def test_ghost_gives_posts_with_their_authors_and_tags(tmp_path: Path) -> None:
    lexical = {
        "root": {
            "type": "root",
            "children": [
                {"type": "extended-heading", "tag": "h2", "children": [{"type": "text", "text": "Low tide"}]},
                {
                    "type": "paragraph",
                    "children": [
                        {"type": "text", "text": "It is ", "format": 0},
                        {"type": "text", "text": "very", "format": 1},
                        {"type": "text", "text": " low. ", "format": 0},
                        {"type": "link", "url": "https://a.example", "children": [{"type": "text", "text": "See"}]},
                    ],
                },
                {"type": "codeblock", "language": "py", "code": "a < b"},
                {
                    "type": "list",
                    "listType": "bullet",
                    "children": [{"type": "listitem", "children": [{"type": "text", "text": "x"}]}],
                },
                {"type": "signup"},
            ],
        }
    }
    mobiledoc = {
        "version": "0.3.1", "atoms": [["soft-return", "", {}]], "cards": [["hr", {}]],
        "markups": [["em"], ["a", ["href", "https://b.example"]]],
        "sections": [[1, "p", [[0, [], 0, "A "], [0, [0], 1, "wet"], [0, [1], 1, " day"]]], [10, 0],
                     [3, "ul", [[[0, [], 0, "y"]]]]],
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        {"id": "p1", "title": "One", "slug": "one", "html": "<p>Hello.</p>", "status": "published", "type": "post",
         "published_at": "2024-01-01T10:00:00.000Z"},
        {"id": "p2", "title": "Two", "slug": "two", "html": None, "lexical": json.dumps(lexical), "status": "draft"},
        {"id": "p3", "title": "Three", "slug": "three", "mobiledoc": json.dumps(mobiledoc), "status": "draft", "author_id": "u1"},
        {"id": "p4", "title": "About", "slug": "about", "html": "<p>Me.</p>", "status": "published", "type": "page"},
        {"id": "p5", "title": "Old about", "slug": "old", "html": "<p>Me.</p>", "status": "published", "page": 1},
    ]  # fmt: skip
    found = posts(written(tmp_path / "g.json", ghost(rows)))
    assert list(found) == ["one", "two", "three"]
    assert (found["one"].author, found["one"].tags, found["one"].draft) == ("Hester Quillam, Ada", ("Sea",), False)
    assert found["one"].created_at == datetime(2024, 1, 1, 10, tzinfo=UTC)
    assert (
        found["two"].text == "## Low tide\n\nIt is **very** low. [See](https://a.example)\n\n```py\na < b\n```\n\n- x"
    )
    assert found["three"].text == "A *wet* [day](https://b.example)\n\n---\n\n- y"
    assert (found["two"].draft, found["three"].author) == (True, "Hester Quillam")


# Substack and Medium


def test_substack_gives_newsletters(tmp_path: Path) -> None:
    table = (
        "post_id,post_date,is_published,email_sent_at,inbox_sent_at,type,audience,title,subtitle,podcast_url\n"
        '11.low-tide,2024-01-01T10:00:00.000Z,true,,,newsletter,everyone,"Low tide, again",,\n'
        "12.next,,false,,,newsletter,everyone,Next,,\n13.talk,2024-01-02T10:00:00.000Z,true,,,podcast,everyone,Talk,,\n"
        "14.chat,2024-01-02T10:00:00.000Z,true,,,thread,everyone,Chat,,\n15.gone,2024-01-02T10:00:00.000Z,true,,,newsletter,everyone,G,,\n"
    )
    text = (
        '<p>It was low.<a class="footnote-anchor" data-component-name="FootnoteAnchorToDOM" id="footnote-anchor-1" '
        'href="#footnote-1" target="_self">1</a></p><div class="subscription-widget-wrap"><p>Subscribe!</p></div>'
        '<div class="footnote" data-component-name="FootnoteToDOM"><a id="footnote-1" href="#footnote-anchor-1" '
        'class="footnote-number" target="_self">1</a><div class="footnote-content"><p>Very.</p></div></div>'
    )
    members: dict[str, str | bytes] = {"posts.csv": table, "email_list.csv": "email\nx@y.example\n"}
    members |= {f"posts/{name}.html": "<p>Text.</p>" for name in ("12.next", "13.talk", "14.chat")}
    found = posts(zipped(tmp_path / "s.zip", {**members, "posts/11.low-tide.html": text}))
    assert list(found) == ["low-tide", "next"]
    assert found["low-tide"].text == "It was low.[^1]\n\n[^1]: Very."
    assert (found["low-tide"].title, found["low-tide"].draft, found["next"].draft) == ("Low tide, again", False, True)


MEDIUM = (
    "<!DOCTYPE html><html><head><title>{title}</title></head><body><article class='h-entry'>"
    "<header><h1 class='p-name'>{title}</h1></header><section data-field='subtitle' class='p-summary'>S</section>"
    "<section data-field='body' class='e-content'>"
    "<section><div class='section-divider'><hr></div><div>{body}</div></section></section><footer><p>By "
    "<a class='p-author h-card' href='https://medium.example/@hq'>Hester Quillam</a> on <a class='p-canonical' href='x'>"
    "<time class='dt-published' datetime='2024-01-01T10:00:00.000Z'>January 1</time></a>.</p></footer></article></body></html>"
)


def test_medium_gives_stories_and_marks_what_looks_like_a_response(tmp_path: Path) -> None:
    story = MEDIUM.format(
        title="Low tide",
        body="<h3 class='graf graf--h3 graf--title'>Low tide</h3><p>It was low.</p><pre>a<br>  b</pre>",
    )
    response = MEDIUM.format(title="I like this a lot. Thank", body="<p>I like this a lot. Thank you for it.</p>")
    found = posts(
        zipped(
            tmp_path / "m.zip",
            {
                "README.html": "<p>Yours.</p>", "posts/2024-01-01_Low-tide-abc.html": story, "posts/draft_Next-def.html": story,
                "posts/2024-01-02_I-like-ghi.html": response, "profile/profile.html": "<p>me</p>", "claps/claps-0001.html": "x",
            },
        )
    )  # fmt: skip
    assert list(found) == ["2024-01-01_Low-tide-abc", "2024-01-02_I-like-ghi", "draft_Next-def"]
    first = found["2024-01-01_Low-tide-abc"]
    assert first.text == "It was low.\n\n```\na\n  b\n```"
    assert (first.title, first.author, first.draft, first.remarks) == ("Low tide", "Hester Quillam", False, ())
    assert found["draft_Next-def"].draft
    assert found["2024-01-02_I-like-ghi"].draft
    assert "response" in found["2024-01-02_I-like-ghi"].remarks[0]


# Blogger and feeds

BLOGGER_ENTRY = (
    "<entry><id>tag:blogger.com,1999:blog-1.post-{id}</id><published>2024-01-01T10:00:00.000Z</published>{more}"
    "<category scheme='http://schemas.google.com/g/2005#kind' term='http://schemas.google.com/blogger/2008/kind#{kind}'/>"
    "<category scheme='http://www.blogger.com/atom/ns#' term='Sea'/><title type='text'>{title}</title>"
    "<content type='html'>&lt;div&gt;Low &lt;b&gt;tide&lt;/b&gt;.&lt;br /&gt;&lt;br /&gt;Again.&lt;/div&gt;</content>"
    "<author><name>Hester Quillam</name></author>"
    "<link rel='alternate' type='text/html' href='https://t.example/2024/01/{id}-tide.html'/></entry>"
)
BLOGGER = (
    "<?xml version='1.0' encoding='UTF-8'?><feed xmlns='http://www.w3.org/2005/Atom' xmlns:app='http://purl.org/atom/app#' "
    "xmlns:blogger='http://schemas.google.com/blogger/2018'><generator>Blogger</generator>{entries}</feed>"
)


def test_blogger_gives_posts_without_comments_and_settings(tmp_path: Path) -> None:
    draft = "<app:control><app:draft>yes</app:draft></app:control>"
    entries = [
        BLOGGER_ENTRY.format(id=kind, kind=kind, title=kind, more=more)
        for kind, more in (("post", ""), ("page", ""), ("comment", ""), ("settings", ""), ("template", ""))
    ]
    entries.append(BLOGGER_ENTRY.format(id="next", kind="post", title="Next", more=draft))
    found = posts(written(tmp_path / "b.xml", BLOGGER.format(entries="".join(entries))))
    assert list(found) == ["post-tide", "next-tide"]
    first = found["post-tide"]
    assert (first.text, first.author, first.tags) == ("Low **tide**.\n\nAgain.", "Hester Quillam", ("Sea",))
    assert (first.draft, found["next-tide"].draft) == (False, True)


def test_bloggers_takeout_is_read_too(tmp_path: Path) -> None:
    entry = (
        "<entry><id>tag:1</id><blogger:type>{type}</blogger:type><blogger:status>{status}</blogger:status><title>T</title>"
        "<content type='html'>&lt;p&gt;Low.&lt;/p&gt;</content><blogger:filename>/2024/01/{name}.html</blogger:filename></entry>"
    )
    kinds = [
        ("POST", "LIVE", "a"),
        ("POST", "DRAFT", "b"),
        ("COMMENT", "LIVE", "c"),
        ("PAGE", "LIVE", "d"),
        ("POST", "SOFT_TRASHED", "e"),
    ]
    entries = "".join(entry.format(type=type, status=status, name=name) for type, status, name in kinds)
    found = posts(written(tmp_path / "feed.atom", BLOGGER.format(entries=entries)))
    assert {name: post.draft for name, post in found.items()} == {"a": False, "b": True}


def test_feeds_of_all_kinds_are_read(tmp_path: Path) -> None:
    rss = (
        '<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title><item><title>One</title>'
        "<link>https://t.example/2024/one.html</link><description>Short.</description><dc:creator>Hester</dc:creator>"
        "<category>Sea</category><pubDate>Mon, 01 Jan 2024 10:00:00 +0000</pubDate>"
        "<content:encoded>&lt;p&gt;All of it.&lt;/p&gt;</content:encoded></item>"
        "<item><title>Two</title><guid>https://t.example/two/</guid><description>Only this.</description></item></channel></rss>"
    )
    atom = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><entry xml:lang="de"><title>Eins</title><id>urn:1</id>'
        '<link href="https://t.example/eins"/><published>2024-01-01T10:00:00Z</published><author><name>Hester</name></author>'
        '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Ein <em>Tag</em>.</p></div></content></entry></feed>'
    )
    json_feed = {
        "version": "https://jsonfeed.org/version/1.1", "title": "T", "language": "fr", "authors": [{"name": "Hester"}],
        "items": [{"id": "1", "url": "https://t.example/un", "title": "Un", "content_html": "<p>Un <b>jour</b>.</p>",
                   "tags": ["mer"]}],
    }  # fmt: skip
    found = posts(written(tmp_path / "r.xml", rss))
    assert (found["one"].text, found["one"].author, found["one"].tags, found["one"].remarks) == (
        "All of it.",
        "Hester",
        ("Sea",),
        (),
    )
    assert found["one"].created_at == datetime(2024, 1, 1, 10, tzinfo=UTC)
    assert (found["two"].text, "summary" in found["two"].remarks[0]) == ("Only this.", True)
    german = posts(written(tmp_path / "a.xml", atom))["eins"]
    assert (german.text, german.language, german.author) == ("Ein *Tag*.", "de", "Hester")
    french = posts(written(tmp_path / "f.json", json.dumps(json_feed)))["un"]
    assert (french.text, french.language, french.author, french.tags) == ("Un **jour**.", "fr", "Hester", ("mer",))


def test_what_reads_a_post_can_be_sent_to_another_process(tmp_path: Path) -> None:
    path = written(tmp_path / "w.xml", WXR.format(items=item(1, "Hello.")))
    ((_, read),) = export_for(path).read(path)
    assert pickle.loads(pickle.dumps(read))().text == "Hello."


def test_a_file_that_is_no_export_is_refused_with_what_would_be(tmp_path: Path) -> None:
    for name, content in (
        ("a.txt", "Just words."),
        ("b.html", "<!DOCTYPE html><p>x"),
        ("c.json", '{"a": 1}'),
        ("d.xml", "<a><b/></a>"),
    ):
        with pytest.raises(InputError, match=r"WordPress.*Ghost.*Substack.*Medium"):
            export_for(written(tmp_path / name, content))
    with pytest.raises(InputError, match="WordPress"):
        export_for(zipped(tmp_path / "e.zip", {"a.txt": "x"}))
    with pytest.raises(UnreadableFile, match="not a regular file"):
        export_for(tmp_path)
