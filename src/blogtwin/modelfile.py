"""The Modelfile, Ollama's recipe for a model: read as Ollama reads it, and written so that it reads the same.

In and out: text ↔ Modelfile. The format knows no escapes. A value in quotation marks ends at the first line end at which it
is closed, so a text that closes itself cannot be held; and Ollama drops what Unicode does not call printable: control and
format characters, and every space but the plain one. `unwritable` is the one place that says which texts these are
(read in Ollama 0.20, parser/parser.go; tests/test_modelfile.py asks the real one).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal, get_args

from pydantic import StringConstraints

from blogtwin.errors import InputError, ModelError
from blogtwin.records import Message, Record, Role

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
Other = Literal["renderer", "parser", "requires", "draft"]
_INSTRUCTIONS = ("from", "adapter", "template", "system", "parameter", "message", "license", *get_args(Other))

_BLANK = re.compile(r"[ \t\r\n]*(?:#[^\r\n]*)?")
_WORD = re.compile(r"(\w+)[ \t]+", re.ASCII)
_VALUES = (  # three marks, one mark, none: each ends where a line ends and the marks are closed
    re.compile(r'"""(.*?)"""[ \t]*(?=[\r\n]|\Z)', re.DOTALL),
    re.compile(r'"(?!"")(.*?)"[ \t]*(?=[\r\n]|\Z)', re.DOTALL),
    re.compile(r'(?!")([^\r\n]*)'),
)


class Modelfile(Record):
    """What a Modelfile says. base: a path or a model's name. parameters: (name, value) in order; `stop` may come often.

    others: instructions that blogtwin has no use for, as (name, value).
    """

    base: str
    adapter: str | None = None
    template: str | None = None
    system: str | None = None
    parameters: tuple[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")], str], ...] = ()
    messages: tuple[Message, ...] = ()
    licences: tuple[str, ...] = ()
    others: tuple[tuple[Other, str], ...] = ()


def unwritable(text: str) -> str | None:
    """Why no Modelfile can hold `text`, or None: what is written must be what Ollama reads."""
    for character in text:
        if not _kept(character):
            name = unicodedata.name(character, "a control character")
            return f"it holds U+{ord(character):04X} ({name}), which Ollama drops when it reads a Modelfile"
    if _marked(text, '"""') is None and _marked(text, '"') is None:
        return "one of its lines ends with three quotation marks, where Ollama would take the text to be over"
    return None


def write(recipe: Modelfile) -> str:
    """The text of a Modelfile that Ollama and `parse` read as `recipe`. Raises ModelError for what none can hold."""
    lines = [f"FROM {_short(recipe.base)}"]
    if recipe.adapter is not None:
        lines.append(f"ADAPTER {_short(recipe.adapter)}")
    for name, value in (("TEMPLATE", recipe.template), ("SYSTEM", recipe.system)):
        if value is not None:
            lines.append(f"{name} {_long(value)}")
    lines += [f"PARAMETER {name} {_short(value)}" for name, value in recipe.parameters]
    lines += [f"MESSAGE {message.role} {_long(message.content)}" for message in recipe.messages]
    lines += [f"{name.upper()} {_short(value)}" for name, value in recipe.others]
    lines += [f"LICENSE {_long(text)}" for text in recipe.licences]
    return "\n".join(lines) + "\n"


def parse(text: str, source: str = "Modelfile") -> Modelfile:
    """Read a Modelfile as people and programs write them. Raises InputError that names `source` and the line."""
    return _Reading(_kept(text.removeprefix("\ufeff")), source).whole()


class _Reading:
    """A position in a Modelfile, and the instructions before it."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source, self.at = text, source, 0

    def whole(self) -> Modelfile:
        single: dict[str, str] = {}
        parameters: list[tuple[str, str]] = []
        messages: list[Message] = []
        licences: list[str] = []
        while instruction := self._instruction():
            if instruction == "parameter":
                parameters.append((self._word("a parameter"), self._value()))
            elif instruction == "message":
                messages.append(Message(role=self._role(), content=self._value()))
            elif instruction == "license":
                licences.append(self._value())
            elif instruction == "from" and "from" in single:
                raise self._error("a second FROM", "a twin is one model: keep the FROM of its weights")
            else:
                single[instruction] = self._value()
        if not single.get("from"):
            raise InputError(f"{self.source} names no model", "begin with a line like: FROM ./model.gguf")
        known = {name: single.pop(name) for name in ("adapter", "template", "system") if name in single}
        return Modelfile(
            base=single.pop("from"),
            parameters=tuple(parameters),
            messages=tuple(messages),
            licences=tuple(licences),
            others=tuple((name, single[name]) for name in get_args(Other) if name in single),
            **known,
        )

    def _instruction(self) -> str | None:
        """The next instruction in small letters, past blank lines and comments; None at the end."""
        while (blank := _BLANK.match(self.text, self.at)) and blank.end() > self.at:
            self.at = blank.end()
        if self.at == len(self.text):
            return None
        word = _WORD.match(self.text, self.at)
        if word is None or word[1].lower() not in _INSTRUCTIONS:
            line = re.split(r"[\r\n]", self.text[self.at : self.at + 40])[0]
            known = ", ".join(name.upper() for name in _INSTRUCTIONS)
            raise self._error(
                f"{line!r} is no instruction with a value",
                f'a text of several lines stands between """ and """; a line begins with # or one of: {known}',
            )
        self.at = word.end()
        return word[1].lower()

    def _word(self, what: str) -> str:
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self._error(f"{what} and its value are missing", "see the list of instructions in Ollama's manual")
        self.at = word.end()
        return word[1]

    def _role(self) -> Role:
        name = self._word("a role")
        if name not in _ROLES:
            raise self._error(f"{name!r} is no role", f"say one of: MESSAGE {', MESSAGE '.join(_ROLES)}")
        return _ROLES[name]

    def _value(self) -> str:
        for form in _VALUES:
            if found := form.match(self.text, self.at):
                self.at = found.end()
                return found[1] if form is not _VALUES[-1] else found[1].rstrip(" \t")
        raise self._error("the quotation that begins here never ends", "close it at the end of a line")

    def _error(self, fact: str, hint: str) -> InputError:
        line = len(re.findall(r"\r\n|\r|\n", self.text[: self.at])) + 1
        return InputError(f"{self.source}, line {line}: {fact}", hint)


def _kept(text: str) -> str:
    """What Ollama reads of `text`."""
    return "".join(one for one in text if one.isprintable() or one in "\t\r\n")


def _marked(text: str, marks: str) -> str | None:
    """`text` between `marks`, when it reads back as it is."""
    quoted = f"{marks}{text}{marks}"
    for form in _VALUES:
        if found := form.match(quoted):
            return quoted if found[1] == text and found.end() == len(quoted) else None
    return None


def _long(text: str) -> str:
    return _first(text, ('"""', '"'))


def _short(text: str) -> str:
    return _first(text, ("", '"', '"""') if re.fullmatch(r"[\w./:@+-]+", text) else ('"', '"""'))


def _first(text: str, ways: tuple[str, ...]) -> str:
    """`text` in the first of these marks that hold it. Raises ModelError."""
    reason = unwritable(text)
    found = None if reason else next((quoted for marks in ways if (quoted := _marked(text, marks)) is not None), None)
    if found is None:
        raise ModelError(
            f"a Modelfile cannot hold {text[:60]!r}: {reason}",
            "if it is the system prompt, reword training.system_prompt and train again",
        )
    return found
