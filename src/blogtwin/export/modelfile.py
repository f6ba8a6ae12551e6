"""The Modelfile of an artifact: the same twin, made by hand with `ollama create NAME -f Modelfile`.

In: an artifact. Out: the text of a Modelfile that says what deploy sends over Ollama's API, and nothing more.
"""

from __future__ import annotations

from blogtwin.chat_template import TEMPLATES
from blogtwin.modelfile import Modelfile, write
from blogtwin.records import Artifact


def modelfile(artifact: Artifact, gguf: str, lora: str | None = None) -> str:
    """A Modelfile for `artifact`. gguf, lora: where weights and adapter stand, relative to the Modelfile, or absolute.

    Raises ModelError for a system prompt that the format cannot hold.
    """
    template = TEMPLATES[artifact.template]
    parameters = [(key, str(value)) for key, value in artifact.parameters().items()]
    return write(
        Modelfile(
            base=_path(gguf),
            adapter=_path(lora) if lora else None,
            template=template.go,
            system=artifact.system or None,
            parameters=(*parameters, *(("stop", stop) for stop in template.stop)),
        )
    )


def _path(name: str) -> str:
    """A bare name could be a model of Ollama's own."""
    return name if "/" in name else f"./{name}"
