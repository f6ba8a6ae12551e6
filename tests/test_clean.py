"""Cleaning: the author's words stay, the machinery around them goes, and code is never touched."""

from __future__ import annotations

import time

import pytest

from blogtwin.cleaning.clean import clean
from blogtwin.config import Part
from blogtwin.words import count_words


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("A <!-- note\nto self --> b.", "A b."),
        ("One.\n\n![a [b] c](/x (1).png \"t\")\n\nTwo.", "One.\n\nTwo."),
        ("One.\n\n[![alt](a.png)](b.html)\n\nTwo.", "One.\n\nTwo."),
        ("See [this page][p] and [p], not [q].\n\n[p]: http://x.org \"T\"", "See this page and p, not [q]."),
        ("[[.exe x64][bin], 173kB]\n\n[bin]: /x", "[.exe x64, 173kB]"),
        ("See [a\nlong link][gone], but grid[i][j].", "See a\nlong link, but grid[i][j]."),
        ("Peter has [scripts][] for String[][] and x[0][].", "Peter has scripts for String[][] and x[0][]."),
        ("Keep [the link](http://x.org/a_(b)) and <http://y.org>.", "Keep the link and http://y.org."),
        ("{{< figure src=\"x\" >}}\n\n{{% notice %}}\nMind this.\n{{% /notice %}}", "Mind this."),
        ("{% include x.html %}A [post]({% post_url 2020-01-01-x %}).", "A post."),
        ("{% comment %}secret{% endcomment %}Said.", "Said."),
        ("A <em>very</em> <b>bold</b> <a href=\"/x\" class=y>link</a><br>end", "A *very* **bold** link  \nend"),
        ("An `Option<T>`, a Vec<i>, Option<T>, <your-name>.", "An `Option<T>`, a Vec<i>, Option<T>, <your-name>."),
        ("<blockquote><p>Said\nhe.</p></blockquote>", "> Said he."),
        ("<video src=x>no video</video>Text.<script>x()</script>", "Text."),
        ("Text.\n{: .note}\n\n## Head {#id}\n\nMore.", "Text.\n\n## Head\n\nMore."),
        ("Head\n----\n\nText.", "## Head\n\nText."),
        ("A\u00a0b\u200bc &mdash; d\r\ne", "A bc — d\ne"),
        ("Pasted!\ufffc", "Pasted!"),
        ("import a, {\n  b,\n} from './c.js'\n\nOne {' '}\nis <span style={{ color: 'red' }}>red</span>.", "One\nis red."),
        ("Text.[^1]\n\n[^1]: A note\n    of CSS.\n\n    *[CSS]: sheets", "Text.[^1]\n\n[^1]: A note\n    of CSS."),
        ("Hi.\n\n## Overview\n\n- [One](#a)\n- [Two](#b)\n\n## One\n\nA.\n\n## Two\n\nB.", "Hi.\n\n## One\n\nA.\n\n## Two\n\nB."),
        ("In two steps:\n\n1. [One](#a)\n2. [Two](#b)\n\n## One", "In two steps:\n\n1. One\n2. Two"),
        ("<pre><span class=\"kd\">var</span> a</pre>", "```\nvar a\n```"),
        ("One.\n\n\n\n\nTwo.  \nThree. ", "One.\n\nTwo.  \nThree."),
        ("See [f()]((http://x.org/a#f(b.C)) and [g]((http://y.org)).", "See f() and g."),
        ("A [b][1].\n\n~~~~\n\nIt is *calm*.\n\n [1]: http://x.org", "A b.\n\nIt is *calm*."),
        ("A.\n\n```\n[1]: http://x.org\n```", "A.\n\n```\n[1]: http://x.org\n```"),
        ("A.\n\n```\n\n[1]: http://x.org\n`````", "A.\n\n```\n\n[1]: http://x.org\n`````"),
        ("A.\n\n```\nleft open", "A.\n\n```\nleft open"),
        ("Done.[^1]\n\n[^1]: A note.", "Done.[^1]\n\n[^1]: A note."),
        ("Text.\n\n## Links\n\n![x](y)\n", "Text."),
        ("---\n\nText.\n\n***\n", "Text."),
        ("<!-- only -->\n![x](y)", ""),
    ],
)  # fmt: skip
def test_machinery_goes_and_words_stay(written: str, left: str) -> None:
    assert clean(written, "markdown").text == left


@pytest.mark.parametrize(
    "code",
    [
        "```html\n<!-- x -->\n{{ y }} ![a](b)\n\n\n\n[l]: http://x\n```",
        "~~~\n<b>  \n~~~",
        "Text.\n\n    <b>{{ x }}</b>\n\n    more\n\nText.",
        "`<div>` and ``a ` {{ b }}`` stay.",
        "So $$\\frac{{a}}{{b}}$$ and $x_{{1}}^2$.",
    ],
)
def test_code_and_formulas_are_never_touched(code: str) -> None:
    assert clean(code, "markdown").text == code


def test_highlighted_code_becomes_a_fence() -> None:
    assert clean("{% highlight ruby %}\nputs '<b>'\n{% endhighlight %}", "markdown").text == "```ruby\nputs '<b>'\n```"
    assert (
        clean('{{< highlight go >}}\nx := "{{ y }}"\n{{< /highlight >}}', "markdown").text
        == '```go\nx := "{{ y }}"\n```'
    )
    assert clean("<pre><code>a &lt; b\n</code></pre>", "markdown").text == "```\na < b\n```"


def test_plain_text_and_word_posts_are_only_tidied() -> None:
    written = "A <b> and {{ c }} and [d].\n\n\n\n[d]: e"
    assert clean(written, "text").text == clean(written, "docx").text == "A <b> and {{ c }} and [d].\n\n[d]: e"


@pytest.mark.parametrize("opening", ["<!-- ", "<script> ", "<pre> ", "{{", "{% ", "[", "[a](", "![", "`a ", "$$", "  "])
def test_what_is_opened_a_thousand_times_and_never_closed_takes_no_time(opening: str) -> None:
    begun = time.process_time()
    clean(opening * 5000, "markdown")
    assert time.process_time() - begun < 6


def test_links_to_comments_are_no_table_of_contents() -> None:
    said = "- [Ada said](#comment-12)\n- [Bert said](#comment-13)"
    assert set(clean(f"Words.\n\n{said}\n\nMore.", "markdown").cuts) == {"readers' comments"}
    assert set(clean(f"Words.\n\n{said.replace('comment', 'part')}\n\nMore.", "markdown").cuts) == {"table of contents"}


WRITTEN = """One `span` and $x^2$, too.[^1]

```
code block
```

| A | B |
|---|---|
| 1 | 2 |

$$
y_1 = 2
$$

Price $5, $6.

[^1]: A note.
"""


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("code", "```\ncode block\n```\n\n"),
        ("math", "$$\ny_1 = 2\n$$\n\n"),
        ("tables", "| A | B |\n|---|---|\n| 1 | 2 |\n\n"),
        ("footnotes", "\n\n[^1]: A note."),
    ],
)
def test_a_part_is_left_out_by_a_setting_and_counted(part: Part, gone: str) -> None:
    cleaned = clean(WRITTEN, "markdown", [part])
    left = WRITTEN.strip().replace(gone, "")
    left = left.replace(" $x^2$", "") if part == "math" else left.replace("[^1]", "") if part == "footnotes" else left
    assert cleaned.text == left
    assert cleaned.cuts[part] > 0
    assert clean(WRITTEN, "markdown").text == WRITTEN.strip()


def test_what_is_cut_is_counted_by_what_it_was() -> None:
    written = "A {{< figure two words >}} b <!-- two words --> [c](https://example.org) ![one](d)"
    written += "\n\n<iframe>gone</iframe>\n\nTags: e"
    cuts = dict(clean(written, "markdown").cuts)
    assert cuts == {"addresses": 3, "comments": 2, "embeds": 3, "images": 2, "shortcodes": 3, "tags": 2}


def test_what_is_written_anew_is_cut_by_the_difference() -> None:
    written = "A <table border='1'><tr><th>B</th><th>C</th></tr><tr><td>D</td><td>E</td></tr></table>"
    written += "\n\n{% highlight ruby %}\nputs 1\n{% endhighlight %}\n\n[[Page|words]]"
    cleaned = clean("\n\n".join([written] * 20), "markdown")
    counted = count_words(cleaned.text) + sum(cleaned.cuts.values())
    assert abs(counted - count_words("\n\n".join([written] * 20))) <= 2


HOSTILE = (
    *("[", "![](", "[a](", "[a][b] ", "[[a|", "[^1]: a\n", "[a]: b\n", "- [a](#b)\n", "[caption ", "[code]"),
    *("<div>", "<div>\n\n", "<b>", "<pre>", "<li>", "<blockquote>", "<!--", '<a href="', "<Foo a={", "<Foo>\n"),
    *("{{", "{% ", "{{< ", "{# ", "{% highlight %}", "{% a %}", "{: .a}", ":::", "::: a\n", "!!! note\n"),
    *("> ", "> - ", "- ", "1. ", "# a\n", "a\n-\n", "|a", "---\n", "Tags: a\n\n", ">\n", "import a\n\n"),
    *("`a ", "$a ", "\\(a_b\\) ", "\\[", "*a ", "&amp;", "&#42;", "\x00", " ", "a  \n", "日本[", "😀![]("),
)


@pytest.mark.parametrize("repeated", HOSTILE)
def test_hostile_markdown_takes_no_time(repeated: str) -> None:
    written = repeated * (100_000 // len(repeated))
    begun = time.process_time()
    clean(written, "markdown", ["code", "math", "tables", "footnotes"])
    assert time.process_time() - begun < 4
