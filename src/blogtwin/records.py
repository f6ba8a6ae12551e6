"""The records that pass from stage to stage: frozen, unknown fields refused, ids from content.

On disk each is one JSON object a line (see jsonl.py); the pipeline's data flow is the order of this file.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from blogtwin.config import DeploymentSettings

DateSource = Literal["front matter", "document", "file name", "folder", "heading", "git", "file system"]
PostFormat = Literal["markdown", "text", "docx", "html", "rst", "org", "asciidoc", "djot", "notebook"]
Verdict = Literal["kept", "cut", "dropped", "passed over", "unreadable"]
ExampleKind = Literal["topic", "outline", "continuation", "section", "rewrite"]
Quantization = Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"]
Role = Literal["system", "user", "assistant"]


def content_id(*parts: str) -> str:
    """Sixteen hexadecimal digits that depend on the parts and on nothing else."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Record(BaseModel):
    """What every record has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Post(Record):
    """One post: `text` is what its author wrote, as Markdown; `path` is relative to the blog folder or export."""

    id: str
    path: str
    title: str
    text: str
    format: PostFormat
    word_count: int
    created_at: datetime | None
    created_from: DateSource | None
    language: str | None = None
    author: str | None = None
    tags: tuple[str, ...] = ()
    draft: bool = False


class FileReport(Record):
    """What became of one file (or one post of an export): nothing that was read disappears without a line here."""

    path: str
    verdict: Verdict  # cut: kept, but without some of its words
    words_before: int  # as read, machinery included
    words_after: int  # in the Post; 0 for one that was dropped
    cuts: dict[str, int] = {}  # what was taken out → how many words of it
    reasons: tuple[str, ...] = ()  # why it was dropped, or what a reader should know


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: str


Turns = Annotated[tuple[Message, ...], Field(exclude_if=lambda turns: not turns)]


class Example(Record):
    """One training example in the Alpaca shape: `instruction` and `input` ask, `output` is the author's answer.

    before: the turns of the conversation above the question; on disk only where there are any.
    """

    id: str
    post_id: str
    kind: ExampleKind
    instruction: str
    input: str
    output: str
    before: Turns = ()

    def conversation(self, system: str) -> tuple[Message, ...]:
        """What the model is asked: `system`, the turns before, then the instruction and, below a blank line, the input."""
        question = f"{self.instruction}\n\n{self.input}" if self.input else self.instruction
        asked = Message(role="user", content=question.strip())
        return Message(role="system", content=system), *self.before, asked


class Preference(Record):
    """One correction: for `prompt`, below the turns of `before`, a reader preferred `chosen` to `rejected`.

    goes_on: both answers go on, alike, after what stands here, or one of them was cut off. Of a line without
    a date or a version these are empty.
    """

    id: str
    prompt: str
    chosen: str
    rejected: str
    origin: Literal["edit", "choice", "rating"]
    before: Turns = ()
    goes_on: bool = False
    comment: str = ""
    model_version: str = ""
    created_at: datetime | None = None


class RatedAnswer(Record):
    """One answer by itself: whether a reader found `completion` good (`label`) for `prompt`, below the turns of `before`.

    goes_on: it was cut off, so that where it stops is no end.
    """

    id: str
    prompt: str
    completion: str
    label: bool
    origin: Literal["rating", "approval"]
    before: Turns = ()
    goes_on: bool = False
    comment: str = ""
    model_version: str = ""
    created_at: datetime | None = None


class Sampling(Record):
    """How a runtime chooses the next token; every field is sent, so that no runtime's own default slips in."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repeat_penalty: float
    seed: int | None = None
    max_tokens: int = 1024

    @classmethod
    def chosen(cls, deployment: DeploymentSettings, max_tokens: int = 1024) -> Sampling:
        """As the user's settings have it."""
        return cls(
            temperature=deployment.temperature,
            top_p=deployment.top_p,
            top_k=deployment.top_k,
            min_p=deployment.min_p,
            repeat_penalty=deployment.repeat_penalty,
            max_tokens=max_tokens,
        )

    def parameters(self) -> dict[str, float | int]:
        """By the names that Ollama's API and Modelfiles have for them; a seed only where there is one."""
        told: dict[str, float | int] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repeat_penalty": self.repeat_penalty,
            "num_predict": self.max_tokens,
        }
        return told if self.seed is None else told | {"seed": self.seed}

    @staticmethod
    def greedy(max_tokens: int) -> Sampling:
        """The most likely token each time: what two engines must agree on."""
        return Sampling(
            temperature=0.0, top_p=1.0, top_k=1, min_p=0.0, repeat_penalty=1.0, seed=0, max_tokens=max_tokens
        )


class AdapterCard(Record):
    """What an adapter folder says of itself (`twin.json`): enough to merge, deploy and prove it later."""

    base_model: str  # as the user named it
    base_path: str  # the Hugging Face folder (a relative one lies in the adapter folder) or repository it came from
    base_revision: str | None = None  # the commit of that repository; None: the base was a folder
    base_hash: str
    method: Literal["sft", "dpo", "kto"]
    template: str  # the name in chat_template.py; the Jinja itself is beside this file as chat_template.jinja
    system: str  # the system prompt that every example was trained with
    max_length: int  # tokens
    data_hash: str
    settings_hash: str
    examples: int
    best_step: int
    best_loss: float  # on the validation answers: nats a token for sft, the method's own loss for the others
    versions: dict[str, str]
    parent: str | None = None  # sha256 of the weights of the adapter that training went on from
    settings: dict[str, float] = {}  # those of training that are numbers, as they took effect
    rewriting: str | None = (
        None  # what a twin that rewrites texts was told to do with them; None: it learned no rewriting
    )


class Artifact(Record):
    """A model file and everything a runtime must be told to serve it as it was trained."""

    gguf: str  # an absolute path
    gguf_sha256: str
    quantization: Quantization
    template: str  # the name in chat_template.py
    system: str
    sampling: Sampling
    context_length: int  # tokens
    threads: int | None = None  # of the processor, for an answer; None: as the runtime sees fit
    lora: str | None = None  # an absolute path: the adapter's GGUF, where `gguf` is the base's; None: they are merged
    lora_sha256: str | None = None

    def weights(self) -> str:
        """What tells these weights from all others, in hexadecimal digits: of the one file, or of base and adapter."""
        return self.gguf_sha256 if self.lora_sha256 is None else content_id(self.gguf_sha256, self.lora_sha256)

    def parameters(self) -> dict[str, float | int]:
        """What Ollama is told when the model is made, by its own names."""
        told = self.sampling.parameters() | {"num_ctx": self.context_length}
        return told if self.threads is None else told | {"num_thread": self.threads}


class VoiceDifference(Record):
    """How far apart two sides' answers to the same prompts are in voice; `differing` pairs are not equal.

    standard_errors: beyond what swapping the sides by chance gives. chance: the share of such swaps that are as far apart.
    Both are None where it cannot be told, and `remark` says why. words: of the differing answers, of the shorter side.
    """

    pairs: int
    differing: int
    words: int
    standard_errors: float | None = None
    chance: float | None = None
    remark: str | None = None


class ParityResult(Record):
    """How a deployed twin's greedy answers stand to the adapter it came from, token by token.

    agreement: the share of `tokens` that are the adapter's own first choice. near_ties: the share where the runtime took the
    other one of two that rounding can turn round. excess_nats: a token, what the adapter gives away by the runtime's choices.
    ended: answers that ended where the adapter would end them. ran_on: that went on there.
    """

    prompts: int
    tokens: int
    agreement: float
    near_ties: float
    excess_nats: float
    ended: int
    ran_on: int
    voice: VoiceDifference | None = None
    remarks: tuple[str, ...] = ()

    def figures(self) -> dict[str, float]:
        """For a manifest."""
        told = self.voice.standard_errors if self.voice else None
        return {
            "parity_prompts": self.prompts,
            "parity_tokens": self.tokens,
            "agreement": round(self.agreement, 4),
            "near_ties": round(self.near_ties, 4),
            "excess_nats": round(self.excess_nats, 4),
        } | ({} if told is None else {"voice_difference": told})


class Deployment(Record):
    """Which twin a model name stands for, and where it is served; written when a deploy has been proved."""

    name: str
    runtime: str
    adapter: str  # the absolute path of the adapter folder it was made from
    artifact: Artifact
    adapter_sha256: str | None = None  # of its weights at that time; None: deployed before this was kept
    version: str | None = None  # the dated name, family:YYYY-MM-DD-HASH6; it stands for the same as long as it is kept
    deployed_at: datetime | None = None  # of a dated name: when it last took another one
    parity: ParityResult | None = None  # its answers beside the adapter's; None: deployed before this was kept
