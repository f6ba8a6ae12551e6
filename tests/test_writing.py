"""Writing: what the twin is asked for a post, and the post as a web page and a Word file."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from blogtwin import defaults
from blogtwin.errors import OutputError, UsageError
from blogtwin.records import Sampling
from blogtwin.writing.documents import save
from blogtwin.writing.draft import Request, request
from blogtwin.writing.lists import regular_lists
from blogtwin.writing.page import html
from blogtwin.writing.word import docx

SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=40, min_p=0.05, repeat_penalty=1.0)
WORDINGS = tuple(yaml.safe_load((defaults.HERE / "instructions.yaml").read_text("utf-8"))["topic"])

POST = """# What the tide left

Six o'clock, and *drizzle* with **a bit of light** in it; `tide -n` says [so](https://example.org/tides?a=1&b=2).[^1]
A second line of the same paragraph.

## In the box

1. a screw
2. a **brass** screw
   - and its washer
     with a dent
3. nothing

Then, again:
1. one
2. two

> Nobody minds a clock
> that keeps Tuesday.

| tide | hour |
|------|-----:|
| high | *six* |
| low  | noon |

```python
if tide < 3 and not late:
    wade("out & back")
```

---

- a pencil
- a lamp

[^1]: The table is the **harbour's**.
"""


def asked(length: int | None, drafts: int = 1, seed: int | None = 5, context: int = 4096, **changes: Any) -> Request:
    values = {"topic": "what the tide left", "wordings": WORDINGS, **changes}
    return request(values["topic"], length, drafts, values["wordings"], SAMPLING, context, seed)


def read_back(text: str) -> Any:
    import docx as python_docx

    return python_docx.Document(io.BytesIO(docx(text)))


def test_the_question_has_the_words_of_training_and_the_length() -> None:
    (message,) = asked(600).messages
    assert message.role == "user"
    assert message.content in {
        one.format(title="what the tide left", words=600) for one in WORDINGS if "{words}" in one
    }
    (message,) = asked(None).messages
    assert message.content in {one.format(title="what the tide left") for one in WORDINGS if "{words}" not in one}


def test_a_topic_with_braces_and_line_ends_is_asked_as_it_is() -> None:
    (message,) = asked(None, topic="  {words} and\n{title} \n").messages
    assert "{words} and {title}" in message.content


def test_wordings_in_another_language_without_a_length_still_serve() -> None:
    (message,) = asked(600, wordings=("Schreibe einen Beitrag über {title}.",)).messages
    assert message.content == "Schreibe einen Beitrag über what the tide left."


def test_each_draft_has_a_seed_of_its_own_and_room_for_its_length() -> None:
    wanted = asked(600, drafts=3)
    assert len({one.seed for one in wanted.samplings}) == 3
    assert wanted == asked(600, drafts=3)
    assert {one.temperature for one in wanted.samplings} == {0.7}
    assert all(1.4 * 600 < one.max_tokens < 3600 for one in wanted.samplings)
    assert asked(None, seed=None).samplings != asked(None, seed=None).samplings


def test_the_question_and_the_answer_fit_into_the_context() -> None:
    for context in (256, 512, 4096):
        for length in (None, 100):
            assert asked(length, context=context).samplings[0].max_tokens < context - 60


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"topic": " \n"}, "no topic"),
        ({"length": 0}, "0 words"),
        ({"length": 100_000}, "100000 words"),
        ({"drafts": 0}, "0 drafts"),
    ],
)
def test_what_cannot_be_written_is_refused_with_what_can(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as told:
        asked(**{"length": None, **changes})
    assert told.value.hint


def test_a_word_file_has_the_posts_headings_lists_and_emphasis() -> None:
    document = read_back(POST)
    by_style: dict[str, list[str]] = {}
    for paragraph in document.paragraphs:
        by_style.setdefault(paragraph.style.name, []).append(paragraph.text)
    assert by_style["Heading 1"] == ["What the tide left"]
    assert by_style["Heading 2"] == ["In the box"]
    assert by_style["List Number"][:5] == ["a screw", "a brass screw", "nothing", "one", "two"]
    assert by_style["List Bullet 2"] == ["and its washer with a dent"]
    assert by_style["List Bullet"] == ["a pencil", "a lamp"]
    assert by_style["Quote"] == ["Nobody minds a clock that keeps Tuesday."]
    runs = [run for paragraph in document.paragraphs for run in paragraph.runs]
    assert [run.text for run in runs if run.bold] == ["a bit of light", "brass", "harbour's"]
    assert [run.text for run in runs if run.italic] == ["drizzle"]
    assert [run.text for run in runs if run.font.name == "Courier New"] == [
        "tide -n",
        'if tide < 3 and not late:\n    wade("out & back")',
    ]
    assert document.core_properties.title == "What the tide left"
    first = next(paragraph for paragraph in document.paragraphs if paragraph.text.startswith("Six"))
    assert "in it; tide -n says so.1 A second line" in first.text


def test_a_word_files_links_and_tables_are_real() -> None:
    document = read_back(POST)
    (link,) = [link for paragraph in document.paragraphs for link in paragraph.hyperlinks]
    assert (link.text, link.url) == ("so", "https://example.org/tides?a=1&b=2")
    (table,) = document.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["tide", "hour"],
        ["high", "six"],
        ["low", "noon"],
    ]
    assert table.rows[0].cells[0].paragraphs[0].runs[0].bold
    assert table.rows[1].cells[1].paragraphs[0].runs[0].italic


def test_each_numbered_list_in_word_begins_at_its_own_number() -> None:
    document = read_back("1. a\n2. b\n\nThen:\n\n1. c\n2. d\n\nAnd:\n\n7. e\n8. f\n")
    numbers = [
        paragraph._p.pPr.numPr.numId.val for paragraph in document.paragraphs if paragraph.style.name == "List Number"
    ]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3] != numbers[4]
    numbering = document.part.numbering_part.element
    starts = [
        next(one for one in numbering.num_lst if one.numId == number).lvlOverride_lst[0].startOverride.val
        for number in (numbers[0], numbers[2], numbers[4])
    ]
    assert starts == [1, 1, 7]


def test_a_web_page_is_whole_and_has_the_same_elements() -> None:
    page = html(POST)
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>What the tide left</title>" in page
    for element in (
        "<h2>In the box</h2>",
        "<strong>a bit of light</strong>",
        '<a href="https://example.org/tides?a=1&amp;b=2">so</a>',
        "<blockquote>",
        "<th>tide</th>",
        'if tide &lt; 3 and not late:\n    wade("out &amp; back")',
        '<div class="footnote">',
    ):
        assert element in page, element
    assert page.count("<ol>") == 3  # the two lists and the footnotes


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "text <b onclick='alert(1)'>bold</b>",
    "[x](javascript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](JaVaScRiPt:alert(1) 'title')",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](https://tracker.example/pixel.png)",
    "![a][i]\n\n[i]: https://tracker.example/pixel.png",
    "<style>body{background:url(https://tracker.example)}</style>",
    '<iframe src="https://tracker.example"></iframe>',
    "</body></html><script>alert(1)</script>",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "# <script>alert(1)</script>",
    "<!-- --><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "[^1]\n\n[^1]: <script>alert(1)</script>",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_a_model_writes_can_run_or_call_home(text: str) -> None:
    page = html(text, title='</title><script>alert("t")</script>')
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Collect(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Collect().feed(page)
    assert not {tag for tag, _ in tags} & {"script", "img", "iframe", "svg", "object", "link", "base", "form"}
    assert sum(tag == "style" for tag, _ in tags) == 1  # our own
    for tag, attributes in tags:
        assert not {"src", "style", "srcset"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        assert re.match(r"https?://|mailto:|#", attributes.get("href") or "#"), tag
    assert docx(text)


def test_html_that_a_model_writes_about_can_be_read() -> None:
    assert "Use &lt;b&gt; for bold" in html("Use <b> for bold, and `Option<T>` for nothing.")
    assert read_back("Use <b> for bold.").paragraphs[0].text == "Use <b> for bold."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "\x00\x08 text \ud800",
        ">" * 3000 + " deep",
        "* " * 500 + "x",
        "[" * 20_000,
        "[a](b " * 20_000,
        "> * " * 1000,
        "**" * 999,
        "|" * 500,
        "```\nnever closed",
    ],
)
def test_what_a_babbling_model_writes_still_becomes_a_file(text: str) -> None:
    assert html(text).endswith("</html>\n")
    assert docx(text)[:2] == b"PK"


def test_lists_are_read_as_they_are_typed() -> None:
    assert regular_lists("Bring:\n- a lamp\n  - oil\n- bread") == "Bring:\n\n- a lamp\n    - oil\n- bread"
    assert regular_lists("1) one\n2) two") == "1. one\n2. two"
    kept = "It was in\n1986. A good year.\n\n```\nx\n- y\n  - z\n```"
    assert regular_lists(kept) == kept
    assert "<li>and a second line</li>" not in html("- one\n  and a second line\n- two")


def test_every_format_is_written_whole(tmp_path: Path) -> None:
    save(POST, tmp_path / "new" / "post.md", "md")
    save(POST, tmp_path / "new" / "post.html", "html")
    save(POST, tmp_path / "new" / "post.docx", "docx")
    assert (tmp_path / "new" / "post.md").read_text("utf-8") == POST.strip() + "\n"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["post.docx", "post.html", "post.md"]
    with pytest.raises(OutputError, match=r"post\.md"):
        save(POST, tmp_path / "new" / "post.md" / "post.docx", "docx")
