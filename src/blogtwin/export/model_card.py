"""What a bundle says of itself: the model card, the notice that some licences ask for, and how to run it elsewhere.

In: the card of the adapter, the artifact, and what an evaluation found. Out: Markdown and plain text. No post is quoted, and
no path of this machine is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blogtwin.records import AdapterCard, Artifact

_LLAMA = "Llama "
_IDENTIFIERS = {"Llama 3.2 Community License": "llama3.2", "Apache-2.0": "apache-2.0"}  # as model hubs write them
_TERMS = {
    "Llama 3.2 Community License": "https://www.llama.com/llama3_2/license/",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
}
_TRAINED_ON = {
    "sft": "examples made of one author's own posts",
    "dpo": "pairs of answers of which the author preferred one",
    "kto": "answers that the author rated",
}


@dataclass(frozen=True)
class Told:
    """name: the twin's, without a tag. base: as it may be shown. licence: of the base; None: not known to blogtwin.

    evaluation: figure → value, of this very twin; None: there is none. verdict: its words, where it has some.
    files: name → SHA-256.
    """

    name: str
    base: str
    repository: str | None
    licence: str | None
    card: AdapterCard
    artifact: Artifact
    evaluation: Mapping[str, float] | None
    verdict: str | None
    files: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The name to give the model elsewhere: the Llama licence asks that it begins with Llama when it is given away."""
        return f"llama-{self.name}" if self._llama and not self.name.lower().startswith("llama") else self.name

    @property
    def _llama(self) -> bool:
        return (self.licence or "").startswith(_LLAMA)

    def notice(self) -> str | None:
        """The text of NOTICE, which the Llama licences ask for in every copy; None where none is asked for."""
        if not self._llama or self.licence is None:
            return None
        version = self.licence.removesuffix(" Community License")
        return (
            f"{version} is licensed under the {self.licence}, Copyright © Meta Platforms, Inc. All Rights Reserved.\n"
        )


def model_card(told: Told) -> str:
    """MODEL_CARD.md."""
    card, artifact = told.card, told.artifact
    unit = "nats a token" if card.method == "sft" else f"the loss of {card.method}"
    settings = ", ".join(f"{name} {value:g}" for name, value in card.settings.items())
    tools = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    kind = "a LoRA adapter beside its base" if artifact.lora else "a LoRA adapter merged into its base"
    lines = [
        "---",
        f"license: {_IDENTIFIERS.get(told.licence or '', 'other')}",
        *([f"base_model: {told.repository}"] if told.repository else []),
        "tags: [blogtwin, gguf, lora]",
        "---",
        "",
        f"# {told.shown}",
        "",
        *(["**Built with Llama**", ""] if told.notice() else []),
        f"A language model that writes in the voice of one author: {kind}, trained by blogtwin on the author's own machine.",
        "It is as private as the posts it was made from: it may repeat from them, so give it only to whom you would give those.",
        "",
        "## Base and licence",
        "",
        f"- Base: {told.repository or told.base}"
        + (f", revision {card.base_revision}" if card.base_revision else "")
        + f" (hash {card.base_hash}); its weights were changed by the training described below.",
        f"- Licence of the base: {_licence(told)}",
        "",
        "## Training",
        "",
        f"- {card.examples:,} {_TRAINED_ON[card.method]} (hash of the data: {card.data_hash}); method {card.method}.",
        f"- Best loss on held-out answers: {card.best_loss:.4f} ({unit}), at step {card.best_step}.",
        *([f"- It went on from an adapter whose weights have the SHA-256 {card.parent}."] if card.parent else []),
        *([f"- Settings: {settings}."] if settings else []),
        *([f"- Made with: {tools}."] if tools else []),
        f"- Precision of the weights: {artifact.quantization}; context: {artifact.context_length:,} tokens.",
        "",
        "## Evaluation",
        "",
        *_evaluation(told),
        "",
        "## Files",
        "",
        "| file | SHA-256 |",
        "|---|---|",
        *(f"| {name} | `{digest}` |" for name, digest in told.files.items()),
    ]
    return "\n".join(lines) + "\n"


def _licence(told: Told) -> str:
    if told.licence is not None:
        terms = f"{told.licence}, {_TERMS[told.licence]}"
        duties = (
            "; whoever passes this model on gives that agreement with it, keeps NOTICE, shows “Built with Llama”, "
            "lets the model's name begin with Llama, and keeps to the Acceptable Use Policy"
        )
        return terms + (duties if told.notice() else "") + "."
    unknown = "not known to blogtwin; see where the base came from before you pass this model on."
    if told.card.template == "llama3":
        unknown += " If the base is a Llama, its licence asks for the words “Built with Llama”."
    return unknown


def _evaluation(told: Told) -> list[str]:
    if told.evaluation is None:
        return ["This very model has not been evaluated; `blogtwin evaluate` does it, on posts that were held out."]
    verdict = [told.verdict, ""] if told.verdict else []
    rows = [f"| {name.replace('_', ' ')} | {value:g} |" for name, value in told.evaluation.items()]
    return [*verdict, "On posts that were held out from training:", "", "| figure | value |", "|---|---|", *rows]


def readme(told: Told) -> str:
    """README.md: how to check and run the bundle on another machine."""
    artifact, name = told.artifact, told.shown
    sampling = artifact.sampling
    lora = " --lora adapter.gguf" if artifact.lora else ""
    studio = (
        "LM Studio takes whole models only: make a bundle with `--mode merged` for it."
        if artifact.lora
        else "`lms import model.gguf` (or choose the file in the program), and set the system prompt and the figures above."
    )
    system = (
        ["", "Every conversation begins with this system message:", "", *_indented(artifact.system)]
        if artifact.system
        else []
    )
    lines = [
        f"# {name}: how to run it",
        "",
        "What it is and what it was made from: MODEL_CARD.md. Nothing here needs a network.",
        "",
        "## Check that it arrived whole",
        "",
        "    sha256sum -c SHA256SUMS          # Linux; on macOS: shasum -a 256 -c SHA256SUMS",
        "",
        "## Ollama",
        "",
        f"    ollama create {name} -f Modelfile",
        f"    ollama run {name}",
        "",
        "## llama.cpp",
        "",
        f"    llama-server -m model.gguf{lora} --jinja -c {artifact.context_length} --temp {sampling.temperature:g}"
        f" --top-p {sampling.top_p:g} --top-k {sampling.top_k} --min-p {sampling.min_p:g}"
        f" --repeat-penalty {sampling.repeat_penalty:g} --host 127.0.0.1 --port 8080",
        *system,
        "",
        "## LM Studio",
        "",
        studio,
    ]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.splitlines()]
