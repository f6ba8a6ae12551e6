"""The Modelfile: the same twin, made by hand with `ollama create NAME -f Modelfile`.

In: an artifact. Out: the text of a Modelfile that says what deploy sends over Ollama's API, and nothing more.
"""

from __future__ import annotations

from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import ModelError
from blogtwin.records import Artifact

_QUOTES = '"""'


def modelfile(artifact: Artifact, gguf: str) -> str:
    """A Modelfile for `artifact` whose weights stand at `gguf`, a path relative to the Modelfile.

    Raises ModelError for a system prompt that the format cannot hold: it knows no escapes inside its quotes.
    """
    template = TEMPLATES[artifact.template]
    lines = [f"FROM ./{gguf}", f"TEMPLATE {_quoted(template.go)}"]
    if artifact.system:
        lines.append(f"SYSTEM {_quoted(artifact.system)}")
    lines += [f"PARAMETER {key} {value}" for key, value in artifact.parameters().items()]
    lines += [f'PARAMETER stop "{stop}"' for stop in template.stop]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if _QUOTES in text or "\0" in text:
        raise ModelError(
            f"a Modelfile cannot hold {text[:60]!r}: there are three quotation marks in a row in it, or a NUL",
            "reword training.system_prompt and train again",
        )
    return f"{_QUOTES}{text}{_QUOTES}"
