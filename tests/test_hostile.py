"""No file ends the reader, hangs it, or costs more than its size is worth, whatever is in it.

bench/fuzz.py looks further, for as long as one likes; what it found is in test_sources.py, test_clean.py and tests/pitfalls/.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blogtwin.config import load_settings
from blogtwin.records import FileReport
from blogtwin.sources.folder import REGISTRY
from blogtwin.stages.reading import Reader, document_of

# One ending of each format; of those that are packages or JSON, soup would test the unpacking alone.
KINDS = sorted({type(source): ending for ending, source in REGISTRY.items()}.values())
TEXTS = [ending for ending in KINDS if ending not in ("docx", "ipynb")]
# What the grammars of all these formats are made of: soup of it reaches further into them than random characters do.
PIECES = (
    "\n", "\n\n", "    ", "\t", " ", "word", "Word.", "é", "日本", "\u200b", "\x00", "\ufeff", "---\n", "+++\n",
    "title: a: b\n", "```\n", "~~~", "`", "``", "# ", "## ", "===\n", "> ", "- ", "1. ", "| a ", "|---|\n", "[", "](",
    ")", "![", "]: ", "[^1]", "[^1]: ", "*", "**", "_", "<", ">", "<div>", "</div>", "<p", "<pre>", "</pre>", "<!--",
    "-->", "<b>", "</b>", "<table>", "<td>", "<iframe src=x>", "<T>", "&amp;", "&#0;", "{%", "%}", "{{", "}}", "{{<",
    ">}}", "{% raw %}", "{% highlight x %}", "{% endhighlight %}", "{#id}", "{: .x}", ":::", "$$", "$", "\\(", "\\",
    "import x from 'y'\n", "<Foo bar={{a: 1}}>", "</Foo>", "#+BEGIN_SRC\n", "#+END_SRC\n", "* TODO ",
    ":PROPERTIES:\n", ".. code::\n\n", ".. image:: x\n", "::\n\n", "|x|", "`a`_", ":role:`x`", "====\n", "----\n",
    "[source]\n", "= Title\n", ":attr: x\n", "{_a_}", "{=x=}", "## Comments\n", "**Ann** says:\n",
    "https://example.org/a_(b) ", "<https://x.org>",
)  # fmt: skip


def read(path: Path) -> FileReport:
    reader = Reader.of(load_settings(None, {"data": {"input_dir": path.parent}}))
    return reader.post(path.name, partial(document_of, path), datetime(2020, 1, 1, tzinfo=UTC)).report


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("ending", TEXTS)
@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_soup_of_markup_is_read_or_refused_with_a_reason(room: Path, ending: str, pieces: list[str]) -> None:
    path = room / f"soup.{ending}"
    path.write_bytes("".join(pieces).encode())
    report = read(path)
    assert report.verdict != "unreadable" or report.reasons


@pytest.mark.parametrize("ending", KINDS)
@settings(max_examples=30, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_reason(room: Path, ending: str, content: bytes) -> None:
    path = room / f"bytes.{ending}"
    path.write_bytes(content)
    report = read(path)
    assert report.verdict != "unreadable" or report.reasons


@pytest.mark.parametrize("ending", TEXTS)
def test_a_file_of_one_thing_again_and_again_is_read_in_time(room: Path, ending: str) -> None:
    size = 70_000
    slow = {}
    path = room / f"first.{ending}"  # the first use of a parser, and of the language detector, loads it
    path.write_text("# Title\n\nSome words that are long enough to be told from those of another language.\n")
    read(path)
    for piece in PIECES:
        path = room / f"again.{ending}"
        path.write_bytes((piece * (size // len(piece.encode()))).encode())
        began = time.process_time()
        read(path)
        spent = time.process_time() - began
        if spent > 2.5:  # 36 s a MB; bench/fuzz.py allows far less, on a machine that does nothing else
            slow[piece] = round(spent, 1)
    assert not slow


@pytest.mark.parametrize(
    "text",
    [
        "Words\n\n" + "---\n" * 20_000 + "\nwords -",  # rules that are not the last
        "This work is licensed under CC.\n\nWords\n\n"
        + "-" * 200
        + "x",  # a rule that is none, where rules are looked for
        "Words " + "a-" * 40_000,
        "Words\n\n" + "* * *\n" * 10_000 + "\nwords",
        "* h\n:PROPERTIES:\n:a:x" + " " * 60_000 + "x\n:END:\n",
        "* h\n" + "[2020-01-01 " * 6_000,
        "* " + ":a" * 30_000 + " x",
        "#+MACRO: a " + "b" * 300 + "\n" + "{{{a}}}" * 9_000,
    ],
)
def test_what_once_took_minutes_is_read_in_time(room: Path, text: str) -> None:
    for ending in ("md", "org", "rst"):
        path = room / f"once.{ending}"
        path.write_text(text)
        began = time.process_time()
        read(path)
        assert time.process_time() - began < 6.0
