"""What the API takes and gives, with an example of each: the contract of the page, of scripts and of other editors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from blogtwin.records import Message
from blogtwin.service_records import Feedback, Kind, Rating
from blogtwin.writing.style import Style

Text = Annotated[str, Field(max_length=400_000)]
TwinName = Annotated[str, Field(max_length=64, description="a name without its tag; empty: the twin of the settings")]


class _Body(BaseModel):
    """What a client sends: what is not known is refused, so that a wrong name does not pass unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(frozen=True, json_schema_extra={"examples": [values]})


class Trouble(_Answer):
    """Why a request was not served, and what to do about it."""

    model_config = _example(error="there is no topic to write about", hint="send a prompt")

    error: str
    hint: str = ""


class GenerateRequest(_Body):
    """A text that is wanted. write: `prompt` is the topic. rewrite, continue: `source` is the text, or `prompt` where there is no
    source. chat: `prompt` is the next thing said after `before`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"prompt": "What the tide left behind", "options": 3, "style": {"length": 300, "warmth": 1}},
                {"prompt": "The meeting will take place at 10.", "kind": "rewrite", "model": "finetuned"},
            ]
        },
    )

    prompt: Annotated[Text, Field(min_length=1)]
    model: Annotated[str, Field(max_length=140, description="base, finetuned, or a version's name")] = "finetuned"
    max_tokens: Annotated[int | None, Field(ge=1, le=32_768)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    options: Annotated[int, Field(ge=1, le=5, description="how many texts to choose from")] = 1
    stream: Annotated[bool, Field(description="server-sent events: start, piece, end, error")] = False
    twin: TwinName | None = None
    kind: Kind = "write"
    subject: Annotated[str | None, Field(max_length=200, description="empty: found from the author's own tags")] = None
    before: Annotated[
        tuple[Message, ...], Field(max_length=200, description="the turns above; the oldest go first")
    ] = ()
    source: Annotated[Text | None, Field(description="an outline, notes or a text to write from")] = None
    style: Style = Style()
    session: Annotated[
        str | None, Field(max_length=200, description="requests of one session get the same version")
    ] = None


class GenerateResponse(_Answer):
    """request_id: what to give feedback to. text: the first of texts. remark: what went wrong without spoiling the texts."""

    model_config = _example(
        request_id="5f0c2f1d9f3b4a6e8d7c6b5a49382716",
        version="my-twin:2026-11-21-ab12cd",
        text="Six o'clock, and drizzle.",
        texts=["Six o'clock, and drizzle."],
        seconds=2.4,
        remark="",
    )

    request_id: str
    version: str
    text: str
    texts: tuple[str, ...]
    seconds: float
    remark: str = ""


class EvaluateRequest(_Body):
    """One prompt for base and twin, with the same sampling and seed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"prompt": "What the tide left behind"}]}
    )

    prompt: Annotated[Text, Field(min_length=1)]
    max_tokens: Annotated[int | None, Field(ge=1, le=32_768)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    stream: Annotated[bool, Field(description="piece events: option 0 is the twin, 1 the base")] = False
    twin: TwinName | None = None
    subject: Annotated[str | None, Field(max_length=200)] = None
    style: Style = Style()
    session: Annotated[str | None, Field(max_length=200)] = None


class EvaluateResponse(_Answer):
    """request_id: feedback to it may choose 0, the twin, or 1, the base."""

    model_config = _example(
        request_id="5f0c2f1d9f3b4a6e8d7c6b5a49382716",
        version="my-twin:2026-11-21-ab12cd",
        twin="Six o'clock, and drizzle.",
        base="The tide is a natural phenomenon.",
        seconds=4.1,
        remark="",
    )

    request_id: str
    version: str
    twin: str
    base: str
    seconds: float
    remark: str = ""


class FeedbackRequest(_Body):
    """What a reader says; what is left out stays as it was said before."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"rating": 1}, {"edited_text": "Six, and drizzle.", "approved": True}],
            "minProperties": 1,
        },
    )

    rating: Annotated[Rating | None, Field(description="1 good, -1 bad, 0 neither")] = None
    comment: Annotated[str | None, Field(max_length=20_000)] = None
    edited_text: Text | None = None
    chosen: Annotated[int | None, Field(ge=0, le=4, description="the best option, from 0")] = None
    approved: Annotated[bool | None, Field(description="may be learned as it is")] = None

    @model_validator(mode="after")
    def _something(self) -> FeedbackRequest:
        if not self.model_dump(exclude_none=True):
            raise ValueError("say something: rating, comment, edited_text, chosen or approved")
        return self


class FeedbackPage(_Answer):
    """Judgements, the newest first. next: give it as `before` to see older ones; None: there are none."""

    rows: tuple[Feedback, ...]
    next: str | None = None


class Model(_Answer):
    """One that can be asked for. name: what `model` takes. voice: whether style.voice can be below 1; else why_not says why."""

    model_config = _example(
        name="my-twin:2026-11-21-ab12cd",
        twin="my-twin",
        state="champion",
        share=100,
        runtime="llama-cpp",
        voice=False,
        why_not="it was deployed merged",
        created_at="2026-11-21T09:00:00Z",
    )

    name: str
    twin: str
    state: Literal["base", "champion", "challenger", "candidate", "retired"]
    share: int
    runtime: str
    voice: bool
    why_not: str = ""
    created_at: datetime | None = None
    served: bool = True


class Models(_Answer):
    """What is really served. default: what `finetuned` stands for, but for challengers' shares."""

    twin: str
    default: str
    models: tuple[Model, ...]


class TwinInfo(_Answer):
    """One author's twin. champion: the version in service."""

    model_config = _example(name="my-twin", champion="my-twin:2026-11-21-ab12cd", versions=3, default=True)

    name: str
    champion: str
    versions: int
    default: bool


class Twins(_Answer):
    twins: tuple[TwinInfo, ...]


class Suggestions(_Answer):
    """Topics that the author has written about, and prompts made from them."""

    model_config = _example(topics=["tides", "bread"], prompts=["Something new about tides"])

    topics: tuple[str, ...]
    prompts: tuple[str, ...]


class TrainingRow(_Answer):
    """One training example: what is asked, and the author's own words."""

    kind: str
    instruction: str
    input: str
    output: str


class TrainingData(_Answer):
    """What the twin was trained on, a page of it, and how much feedback waits to be learned."""

    examples: int
    posts: int
    unlearned: int
    minimum: int
    rows: tuple[TrainingRow, ...]


class Reloaded(_Answer):
    """reload: wordings, topics and base models are read anew; warm models without a question give back their memory."""

    models: tuple[str, ...]


class Part(_Answer):
    """One thing the service needs. detail: what is wrong, or how much there is."""

    ok: bool
    detail: str = ""


class Health(_Answer):
    """status: failing when the database cannot be written or no runtime can serve."""

    model_config = _example(
        status="ok",
        version="0.1.0",
        database={"ok": True, "detail": "sqlite"},
        runtime={"ok": True, "detail": "llama-cpp"},
        disk={"ok": True, "detail": "12.1 GB free"},
    )

    status: Literal["ok", "degraded", "failing"]
    version: str
    database: Part
    runtime: Part
    disk: Part


class ExportRequest(_Body):
    """A finished draft to save as a file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"text": "# The tide\n\nSix o'clock.", "format": "docx"}]},
    )

    text: Text
    format: Literal["md", "html", "docx"] = "md"
    title: Annotated[str, Field(max_length=300)] = ""
