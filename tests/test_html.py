"""HTML becomes the Markdown that a person would have written, and a Markdown parser reads the same words in it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pyromark
import pytest

from blogtwin.markup.html import to_markdown
from blogtwin.markup.html_page import article_of
from blogtwin.sources.folder import REGISTRY
from blogtwin.words import words

OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_FOOTNOTES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_MATH
)
NOTE = '<sup id="fnref:{n}"><a href="#fn:{n}" class="footnote">{n}</a></sup>'

TABLE = [
    # paragraphs and white space
    ("<p>One\n two.</p><p>Three.", "One two.\n\nThree."),
    ("Loose.<div>In a <span>division</span>.</div>After.", "Loose.\n\nIn a division.\n\nAfter."),
    ("<p>a<br>b<br/>\nc<br></p>", "a  \nb  \nc"),
    ("<div>a<br><br>b</div>", "a\n\nb"),
    ("<p>&nbsp;</p><p>caf&eacute; &amp; t&#101;a</p>", "\xa0\n\ncafé & tea"),
    ("<p>Wo<wbr>rd <!-- no --> end</p>", "Word end"),
    # marks
    ("<p>a<b> x </b>b</p>", "a **x** b"),
    ("<p><em>one</em> <i>two</i> <strong>three</strong></p>", "*one* *two* **three**"),
    ("<p><b>bold <i>both</i></b></p>", "**bold *both***"),
    ("<p><b>a</b><b>b</b> <b></b><i> </i>c</p>", "**ab** c"),
    ("<p><b><strong>x</strong></b></p>", "**x**"),
    ("<p><b>Note:</b>text</p>", "**Note**:text"),
    ("<p>un<i>believ</i>able</p>", "un*believ*able"),
    ("<b><p>one</p><p>two</p></b>", "**one**\n\n**two**"),
    ("<p><del>old</del> <s>older</s> <u>under</u></p>", "~~old~~ ~~older~~ under"),
    ('<p><span style="font-weight: bold">x</span> <b style="font-weight:normal">y</b></p>', "**x** y"),
    ("<p>He said <q>no</q> to <cite>Emma</cite>.</p>", "He said “no” to *Emma*."),
    ("<p>x<sup>2</sup>, 5<sup>th</sup>, H<sub>2</sub>O, e<sup>-x</sup></p>", "x², 5th, H₂O, e^(-x)"),
    ("<p>Press <kbd>Ctrl</kbd> and <code>a  b</code><code>c</code>.</p>", "Press `Ctrl` and `a bc`."),
    ("<p><code>a`b</code> <code>``</code></p>", "``a`b`` ``` `` ```"),
    # links and pictures
    ('<p>See <a href="https://a.example/x"> the <b>page</b> </a>.</p>', "See [the **page**](https://a.example/x) ."),
    ('<a href="https://a.example/">https://a.example/</a>', "https://a.example/"),
    ('<a name="x">Words</a> <a href="javascript:x()">go</a> <a href="#"></a>', "Words go"),
    ('<a href="/a b">x</a> <a href="/a(b">y</a>', "[x](</a b>) [y](</a(b>)"),
    ('<p><img src="a.png" alt="A  cat"> <img src="p.gif" width=1 height=1><img class="emoji" alt="🙂" src="e.png"></p>',
     "![A cat](a.png) 🙂"),
    ('<figure><img src="a.png" alt="x"><figcaption>The <b>cat</b></figcaption></figure>', "![The **cat**](a.png)"),
    ("<figure><pre>a</pre><figcaption>Listing</figcaption></figure>", "```\na\n```\n\nListing"),
    ('<a href="b"><img src="a.png" alt=""></a>', "[![](a.png)](b)"),
    # headings, rules, quotations
    ('<h2 id="x">One <a class="headerlink" href="#x">¶</a></h2><p>a', "## One\n\na"),
    ("<h3><b>Bold</b></h3>x<h4></h4>", "### Bold\n\nx"),
    ("<p>a</p><hr><p>b</p><hr>", "a\n\n---\n\nb"),
    ("<blockquote>a<blockquote><p>b<p>c</blockquote></blockquote>", "> a\n>\n> > b\n> >\n> > c"),
    # lists
    ("<ul><li>a<li>b<ul><li>c</ul><li><p>d</p></ul>", "- a\n- b\n  - c\n- d"),
    ("<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n  - b"),
    ('<ol start="9"><li>a<li>b</ol>', "9. a\n10. b"),
    ("<ol><li><p>a<p>b<li>c</ol>", "1. a\n\n   b\n\n2. c"),
    ("<ul><li>a</ul><ul><li>b</ul>", "- a\n\n* b"),
    ("<ul><li><pre>x\n\ny</pre></ul>", "- ```\n  x\n\n  y\n  ```"),
    ('<ul><li><input type="checkbox" disabled checked>done</ul>', "- [x] done"),
    ("<dl><dt>Tide<dd>The sea.<dd>A soap.<dt>Ebb<dd>Less sea.</dl>", "Tide\n: The sea.\n: A soap.\n\nEbb\n: Less sea."),
    # code
    ('<pre><code class="language-c">if (a &lt; b)\n\tx;\n</code></pre>', "```c\nif (a < b)\n\tx;\n```"),
    ('<div class="language-ruby highlighter-rouge"><div class="highlight"><pre class="highlight"><code>'
     '<span class="k">def</span> x</code></pre></div></div>',
     "```ruby\ndef x\n```"),
    ('<table class="highlighttable"><tr><td class="linenos"><pre>1</pre></td><td class="code"><pre>a\nb</pre></td></tr></table>',
     "```\na\nb\n```"),
    ('<pre class="brush: python; toolbar: false">x</pre>', "```python\nx\n```"),
    ('<pre class="sourceCode haskell"><code class="sourceCode haskell">x</code></pre>', "```haskell\nx\n```"),
    ("<pre>a<br>b ```\n```</pre>", "````\na\nb ```\n```\n````"),
    ("<code>a<br>b</code>", "```\na\nb\n```"),
    # tables
    ("<table><thead><tr><th>a<th>b</thead><tr><td>1|2<td><code>x</code></table>", "| a | b |\n| --- | --- |\n| 1\\|2 | `x` |"),
    ("<table><tr><td>Only <p>layout</p></td></tr></table>", "Only\n\nlayout"),
    ("<table><tr><td><ul><li>a</ul><td>b<tr><td>c<td>d</table>", "- a\n\nb\n\nc\n\nd"),
    # formulas
    ('<p><script type="math/tex">x_1 < y</script> is</p><script type="math/tex; mode=display">a^2</script>',
     "$x_1 < y$ is\n\n$$a^2$$"),
    ('<span class="katex"><span class="katex-mathml"><math><annotation encoding="application/x-tex">x_1</annotation></math>'
     '</span><span class="katex-html">x1</span></span>', "$x_1$"),
    (r"<p>Let \(x_1\) cost $5, not $6.</p>", "Let $x_1$ cost $5, not $6."),
    # footnotes
    (
        f'<p>Sea{NOTE.format(n=1)}.</p><div class="footnotes"><hr><ol><li id="fn:1">'
        '<p>Salt. <a href="#fnref:1">↩</a></p><p>Wet.</p></li></ol></div>',
        "Sea[^1].\n\n[^1]: Salt.\n\n    Wet.",
    ),
    (
        '<p>Sea<a href="#_ftn1" name="_ftnref1">[1]</a>.</p><div id="ftn1"><p class="MsoFootnoteText">'
        '<a href="#_ftnref1" name="_ftn1">[1]</a> Salt.</p></div>',
        "Sea[^1].\n\n[^1]: Salt.",
    ),
    ('<p><a href="#end">1</a> jump</p><p id="end">There.</p>', "[1](#end) jump\n\nThere."),
    # what is no text
    ("<style>p{}</style><p>a</p><script>b</script><noscript>c</noscript><form><input value=x>"
     "<button>Go</button></form><nav>m</nav>", "a"),
    ('<p>a</p><div class="sharedaddy">Share</div><span class="screen-reader-text">for</span><p hidden>b</p>', "a"),
    ("<details><summary>More</summary><p>Text.</p></details>", "**More**\n\nText."),
    ("<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>", "漢字(かんじ)"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), TABLE, ids=[str(number) for number in range(len(TABLE))])
def test_html_becomes_what_a_person_would_have_written(source: str, expected: str) -> None:
    assert to_markdown(source) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Not a list", "1\\. Not a list"),
        ("# Not a heading", "\\# Not a heading"),
        ("#hashtag is fine", "#hashtag is fine"),
        ("- a dash", "\\- a dash"),
        ("> said", "\\> said"),
        ("snake_case and 2 * 3 and a < b", "snake_case and 2 * 3 and a < b"),
        ("_x_ and *y*", "\\_x\\_ and \\*y\\*"),
        ("a star* alone", "a star* alone"),
        ("`code` and ``x''", "\\`code\\` and \\`\\`x''"),
        ("Option<T> and </div>", "Option\\<T> and \\</div>"),
        ("[a](b) [c] [^1]", "\\[a](b) [c] \\[^1]"),
        ("&lt; and AT&T", "\\&lt; and AT&T"),
        ("C:\\new \\* end", "C:\\new \\\\* end"),
        ("~~no~~ but ~5", "\\~\\~no\\~\\~ but ~5"),
        ("$5 and $6_x", "$5 and $6_x"),
    ],
)
def test_text_that_looks_like_markdown_stays_text(text: str, expected: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    found = to_markdown(f"<p>{escaped}</p>")
    assert found == expected
    shown = pyromark.html(found, options=OPTIONS)
    assert to_markdown(shown) == found, "reading what a parser shows gives the same again"
    assert shown.count("<") == 2, "nothing but a paragraph"


def test_a_word_before_a_link_makes_no_picture() -> None:
    assert to_markdown('Wow!<a href="x">y</a>') == "Wow\\![y](x)"


@pytest.mark.parametrize("source", [source for source, _ in TABLE if "class" not in source and "/a b" not in source])
def test_writing_markdown_as_html_and_reading_it_again_changes_nothing(source: str) -> None:
    once = to_markdown(source)
    again = to_markdown(pyromark.html(once, options=OPTIONS))
    assert words(again) == words(once)


HOSTILE = {
    "deep divisions": "<div>" * 200_000,
    "deep quotations": "<blockquote>a" * 80_000,
    "deep lists": "<ul><li>a" * 100_000,
    "open marks": "".join(f"<font size={n}>" for n in range(20_000)) + "<p>x" * 150_000,
    "paragraphs": "<p>x" * 250_000,
    "items": "<ul>" + "<li>x" * 200_000,
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">x",
    "stars": "<p>" + "*a " * 330_000,
    "brackets": "<p>" + "[" * 1_000_000,
    "dollars": "<p>" + "$a" * 500_000,
    "formulas": "<p>" + "\\(" * 500_000,
    "ampersands": "<p>" + "&amp;a" * 160_000,
    "backticks": "<p>" + "` " * 500_000,
    "marks": "<p>" + "<b>x</b>(" * 100_000,
    "breaks": "<p>" + "<br>" * 250_000,
    "links": "<p>" + "<a href=#x id=y>1</a>" * 45_000,
    "tables": "<table><tr><td>" * 60_000,
    "cells": "<table><tr>" + "<td>x" * 200_000,
    "raised": "<sup>" * 200_000 + "x",
    "comments": "<!--" * 250_000,
    "notes": "".join(f'<a href="#b{n}" id="a{n}">1</a>' for n in range(15_000))
    + "".join(f'<p id="b{n}"><a href="#a{n}">x</a>' for n in range(15_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_page_costs_time_beyond_its_length(name: str) -> None:
    source = HOSTILE[name][:250_000]  # what is quadratic at this length takes far longer than linear reading
    start = time.process_time()
    to_markdown(source)
    article_of(f"<!doctype html><article>{source}")
    assert time.process_time() - start < 6  # a second or less on a machine that does nothing else


PAGE = """<!doctype html><html lang="en-GB"><head><title>Low tide | Tides</title><meta property="og:site_name" content="Tides">
<meta property="article:published_time" content="2024-01-01T10:00:00Z"><meta name="author" content="Hester Quillam"></head><body>
<header><p>Tides</p><nav><a href="/">Home</a></nav></header><div id="wrap"><article class="post"><header><h1>Low tide</h1>
<p class="post-meta">Posted in Sea</p></header><div class="entry-content"><p>{text}</p>
<aside class="callout"><p>Mind the mud.</p></aside><div class="share-buttons">Share on X</div><h2>After</h2><p>It rose.</p>
<section class="related-posts"><h3>You may also like</h3></section>{footnote}<h3>2 thoughts on “Low tide”</h3>
<ol><li>Nice!</li></ol></div><footer><a rel="tag" href="/t/sea">Sea</a></footer></article>
<section id="comments"><p>Another comment</p></section></div>
<aside class="sidebar">Archive</aside><footer>Copyright</footer></body></html>"""
LONG = "The sea went out further than I had ever seen. " * 8


def read(path: Path, content: str | bytes):  # type: ignore[no-untyped-def]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return REGISTRY["html"].read(path)


def test_of_a_page_only_the_article_is_read(tmp_path: Path) -> None:
    post = read(tmp_path / "a.html", PAGE.format(text=LONG, footnote=""))
    assert post.text == f"{LONG.strip()}\n\nMind the mud.\n\n## After\n\nIt rose."
    assert (post.title, post.author, post.tags, post.language) == ("Low tide", "Hester Quillam", ("Sea",), "en")
    assert (post.created_at, post.created_from) == (datetime(2024, 1, 1, 10, tzinfo=UTC), "document")
    assert "stand around its article" in post.remarks[0]


@pytest.mark.parametrize(
    "around",
    [
        "<main>{}</main>", "<div itemprop='articleBody'>{}</div>", "<div class='h-entry'><div class='e-content'>{}</div></div>",
        "<div class='post-content'>{}</div>", "<form><div id='content'>{}</div></form>", "{}",
    ],
)  # fmt: skip
def test_the_article_is_found_wherever_a_theme_puts_it(around: str) -> None:
    page = f"<html><body><nav>Home</nav>{around.format(f'<p>{LONG}</p><p>End.</p>')}<div class='comments'>Hm</div></body></html>"
    assert article_of(page).markdown == f"{LONG.strip()}\n\nEnd."


def test_a_fragment_keeps_its_liquid_for_the_cleaner_and_its_code_for_good(tmp_path: Path) -> None:
    source = (
        "---\ntitle: T\ntags: [c]\n---\n<p>See <a href=\"{{ site.url }}/x\">it</a>. {% include a.html b='<c>' %}</p>\n"
        "{% highlight c %}\n#include <stdio.h>\nint a[] = {{1}, {2}};\n{% endhighlight %}\n<p>End *."
    )
    post = read(tmp_path / "a.html", source)
    assert (post.title, post.tags, post.format) == ("T", ("c",), "html")
    assert post.text == (
        "See [it]({{ site.url }}/x). {% include a.html b='<c>' %}\n\n"
        "```c\n#include <stdio.h>\nint a[] = {{1}, {2}};\n```\n\nEnd *."
    )


def test_the_character_set_that_a_page_names_is_believed_when_it_is_not_utf8(tmp_path: Path) -> None:
    page = '<html><head><meta charset="{}"></head><body><p>{}</p></body></html>'
    assert (
        read(tmp_path / "r.html", page.format("windows-1251", "Привет, море").encode("cp1251")).text == "Привет, море"
    )
    assert read(tmp_path / "j.html", page.format("Shift_JIS", "海の日").encode("cp932")).text == "海の日"
    assert read(tmp_path / "u.html", page.format("windows-1251", "Привет")).text == "Привет"
    western = read(tmp_path / "x.html", page.format("rot13", "déjà vu").encode("cp1252"))
    assert (western.text, "Windows-1252" in western.remarks[0]) == ("déjà vu", True)
