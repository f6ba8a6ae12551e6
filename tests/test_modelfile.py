"""Modelfiles: no text breaks out of one, people's own are read as Ollama reads them, and Ollama keeps what we wrote."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from blogtwin.chat_template import LLAMA3
from blogtwin.errors import InputError, ModelError
from blogtwin.export.gguf import write_gguf
from blogtwin.export.merge import merge
from blogtwin.modelfile import Modelfile, parse, unwritable, write
from blogtwin.progress import Silent
from blogtwin.records import Message
from blogtwin.runtimes.ollama import Ollama

HELLO = Message(role="user", content="Hello")
HANDWRITTEN = '''
# my twin
from  ./weights/my twin.gguf
ADAPTER "./adapter.gguf"

PARAMETER temperature 0.7\t
PARAMETER stop "<|eot_id|>"
PARAMETER stop AI assistant:
TEMPLATE """{{- range .Messages }}
# no comment, but a part of the template
{{ .Content }}{{ end }}"""
SYSTEM You are "Mario" # from Super Mario
MESSAGE user Is Toronto in Canada?
MESSAGE assistant """yes,
it is"""
LICENSE "
several lines
"
REQUIRES 0.14.0
'''
# What a writer of prompts, or of attacks, may put into one.
NASTY = (
    "plain",
    'They say "hello"',
    '"all of it in quotation marks"',
    'ends with three """',
    'three """ in the middle',
    '"""',
    '""',
    " spaces around \t",
    "two\n\nlines\n",
    "FROM /etc/passwd\nPARAMETER stop x",
    "carriage\r\nreturns\r",
    "{{ .Prompt }} {{ range .Messages }}{{ .Content }}",
    "# no comment\nSYSTEM # neither",
    'back\\slash \\n \\"',
    "日本語, naïve, 🦊, e\u0301",
    "<|eot_id|>",
    "",
)
# Letters from which quotations, line ends, instructions and what Ollama drops are soon put together.
PIECES = ['"', '"""', "\n", "\r", " ", "\t", "#", "{{", "SYSTEM ", "FROM x", "a", "\u00a0", "\u200d", "é"]
TEXTS = some.lists(some.sampled_from(PIECES), max_size=12).map("".join) | some.text(max_size=20)
WRITABLE = TEXTS.filter(lambda text: unwritable(text) is None)


@given(text=TEXTS)
@example(text='quiet """\nFROM /etc/passwd\n')
@example(text="no\u00a0break")
def test_a_text_is_held_whole_or_refused(text: str) -> None:
    recipe = Modelfile(base="./model.gguf", system=text, parameters=(("stop", "x"),))
    if unwritable(text):
        with pytest.raises(ModelError, match=r"Modelfile cannot hold"):
            write(recipe)
    else:
        assert parse(write(recipe)) == recipe


def test_only_texts_that_the_format_loses_are_refused() -> None:
    assert [text for text in NASTY if unwritable(text)] == []
    assert "U+00A0 (NO-BREAK SPACE)" in (unwritable("Vraiment\u00a0!") or "")
    assert "three quotation marks" in (unwritable('a """ \nb') or "")
    assert "U+0000" in (unwritable("a\0b") or "")


RECIPES = some.builds(
    Modelfile,
    base=WRITABLE.filter(bool),
    adapter=some.none() | WRITABLE,
    template=some.none() | WRITABLE,
    system=some.none() | WRITABLE,
    parameters=some.lists(some.tuples(some.sampled_from(["stop", "num_ctx"]), WRITABLE), max_size=3).map(tuple),
    messages=some.lists(
        some.builds(Message, role=some.sampled_from(["user", "assistant"]), content=WRITABLE), max_size=2
    ).map(tuple),
    licences=some.lists(WRITABLE, max_size=2).map(tuple),
    others=some.just(()) | WRITABLE.map(lambda text: (("renderer", text),)),
)


@given(recipe=RECIPES)
def test_what_is_written_is_read_back(recipe: Modelfile) -> None:
    assert parse(write(recipe)) == recipe


def test_a_modelfile_written_by_hand_is_read() -> None:
    assert parse(HANDWRITTEN) == Modelfile(
        base="./weights/my twin.gguf",
        adapter="./adapter.gguf",
        template="{{- range .Messages }}\n# no comment, but a part of the template\n{{ .Content }}{{ end }}",
        system='You are "Mario" # from Super Mario',
        parameters=(("temperature", "0.7"), ("stop", "<|eot_id|>"), ("stop", "AI assistant:")),
        messages=(
            Message(role="user", content="Is Toronto in Canada?"),
            Message(role="assistant", content="yes,\nit is"),
        ),
        licences=("\nseveral lines\n",),
        others=(("requires", "0.14.0"),),
    )
    assert parse("FROM a\r\nSYSTEM b\r\n") == parse("\ufeffFROM a\rSYSTEM b") == Modelfile(base="a", system="b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no model"),
        ("FROM x\n\nSYTEM hi\n", "line 3: 'SYTEM hi' is no instruction"),
        ("# a\r\nFROM x\r\nSYSTEM\r\nhi\r\n", "line 3: 'SYSTEM' is no instruction with a value"),
        ('FROM x\nSYSTEM """a\n\nb\n', "line 2: the quotation that begins here never ends"),
        ("FROM x\nSYSTEM one\ntwo lines\n", "line 3: 'two lines' is no instruction"),
        ("FROM x\nPARAMETER stop\n", "line 2: a parameter and its value are missing"),
        ("FROM x\nMESSAGE robot hi\n", "line 2: 'robot' is no role"),
        ("FROM x\nFROM y\n", "line 2: a second FROM"),
    ],
)
def test_a_wrong_modelfile_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse(text, "Modelfile")
    assert message in refusal.value.message
    assert refusal.value.hint


@pytest.fixture(scope="module")
def weights(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return write_gguf(merge(tiny_adapter, folder / "merged"), folder / "model.gguf", "f16", "tiny", Silent())


@dataclass
class ByHand:
    """A real Ollama, and a model made with `ollama create -f`."""

    url: str
    weights: Path
    folder: Path

    def create(self, text: str) -> dict[str, Any]:
        """What /api/show says of the model that this Modelfile makes; FROM is put in front of it."""
        import httpx

        path = self.folder / "Modelfile"
        path.write_text(f"FROM {self.weights}\n{text}", encoding="utf-8", newline="")
        subprocess.run(
            ["ollama", "create", "by-hand", "-f", str(path)],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "OLLAMA_HOST": self.url},
            check=True,
            capture_output=True,
            timeout=60,
        )
        shown: dict[str, Any] = httpx.post(f"{self.url}/api/show", json={"model": "by-hand"}, trust_env=False).json()
        return shown

    def make(self, **recipe: Any) -> dict[str, Any]:
        return self.create(write(Modelfile(base="x", **recipe)).removeprefix("FROM x\n"))


@pytest.fixture
def by_hand(ollama: str, weights: Path, tmp_path: Path) -> ByHand:
    return ByHand(ollama, weights, tmp_path)


@pytest.mark.parametrize("system", NASTY)
def test_ollama_takes_a_system_prompt_literally(by_hand: ByHand, system: str) -> None:
    shown = by_hand.make(template=LLAMA3.go, system=system, parameters=(("stop", '"x\ny"'), ("num_ctx", "64")))
    assert shown.get("system", "") == system
    assert shown["template"] == LLAMA3.go
    assert sorted(line.split(maxsplit=1) for line in shown["parameters"].splitlines()) == [
        ["num_ctx", "64"],
        ["stop", r'"\"x\ny\""'],
    ]
    told = [Message(role="system", content=system)] if system else []
    assert Ollama(by_hand.url).render("by-hand", [HELLO]) == LLAMA3.prompt([*told, HELLO])


def test_ollama_reads_every_text_that_is_written(by_hand: ByHand) -> None:
    chance = random.Random(7)
    made = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(3000)]
    texts = [text for text in made if unwritable(text) is None]
    assert len(texts) > 500
    shown = by_hand.make(messages=tuple(Message(role="user", content=text) for text in texts))
    assert [message["content"] for message in shown["messages"]] == texts


@pytest.mark.parametrize(
    "text",
    [
        HANDWRITTEN.partition("\nPARAMETER")[2].join(("PARAMETER", "")),
        'SYSTEM """closed by itself """\n# and this is a comment\nMESSAGE user """a\u00a0b\u200dc\u3000d"""\n',
        'SYSTEM   "one" mark "\r\nMESSAGE user   spaces  \t\rMESSAGE assistant ""\nMESSAGE user """"""',
        'SYSTEM """"four"""" \t\nMESSAGE assistant """"\n"\n"""\nMESSAGE user "\n"',
    ],
)
def test_we_read_what_ollama_reads(by_hand: ByHand, text: str) -> None:
    shown, read = by_hand.create(text), parse(f"FROM x\n{text}")
    assert shown["system"] == read.system
    assert [(one["role"], one["content"]) for one in shown["messages"]] == [
        (message.role, message.content) for message in read.messages
    ]
    assert shown.get("license", "").strip() == "\n".join(read.licences).strip()
    if read.template:
        assert shown["template"] == read.template


def test_what_ollama_shows_can_be_read(by_hand: ByHand) -> None:
    shown = by_hand.make(template=LLAMA3.go, system='two "\n lines', parameters=(("stop", "a b"), ("stop", "c")))
    read = parse(shown["modelfile"])
    assert (read.template, read.system) == (LLAMA3.go, 'two "\n lines')
    assert read.parameters == (("stop", "a b"), ("stop", "c"))
