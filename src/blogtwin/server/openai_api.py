"""/v1/chat/completions and /v1/models: the twin for editors and clients that speak OpenAI's API.

A model is a twin's name (the version in service), a version's, or TWIN:base. What these clients send beside what is known here
is passed over, as OpenAI's own servers do. The id of an answer, without `chatcmpl-`, takes feedback as any other.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from blogtwin.errors import BlogtwinError, UsageError
from blogtwin.records import Message
from blogtwin.server.events import CONTENT, Events
from blogtwin.server.generation import Asking, Run
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.schemas import GenerateRequest, Text
from blogtwin.server.speakers import BASE, FINETUNED
from blogtwin.server.state import Here, Shared
from blogtwin.server.streaming import while_it_listens
from blogtwin.server.threads import looking
from blogtwin.server.tokens import counted

_ID = "chatcmpl-"


class OpenAITrouble(BaseModel):
    """An error as OpenAI's clients read it."""

    error: dict[str, str | None]


class TextPart(BaseModel):
    """A part of a message; texts alone are understood."""

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(max_length=100)]

    def plain(self) -> Message:
        """As the twin is told it."""
        said = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=said)


class StreamOptions(BaseModel):
    """include_usage: whether the tokens are counted at the end of a stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A conversation whose last turn is the user's."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [{"model": "my-twin", "messages": [{"role": "user", "content": "Write about the tide."}]}]
        },
    )

    model: Annotated[str, Field(min_length=1, max_length=140)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=200)]
    n: Annotated[int | None, Field(ge=1, le=5)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=32_768)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1, le=32_768)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**63)] = None
    stop: (
        Annotated[str, Field(max_length=200)]
        | Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=4)]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Annotated[str | None, Field(max_length=200, description="the same user gets the same version")] = None


class Choice(BaseModel):
    """One answer."""

    index: int
    message: Message
    finish_reason: Literal["stop", "length"]


class Usage(BaseModel):
    """Tokens, by the model's own tokenizer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """Answers to a conversation. system_fingerprint: the version that answered."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage | None = None


class ModelCard(BaseModel):
    """One that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All that can be asked for."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAITrouble, "description": told["description"]} for status, told in RESPONSES.items()
}
router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=_REFUSALS)


@router.get("/models")
def list_models(here: Here) -> ModelList:
    """Every twin, its versions that serve, and its base."""
    cards = []
    for twin in here.twins.names():
        serving = here.versions.serving(twin)
        created = int(max(one.created_at for one in serving).timestamp()) if serving else 0
        names = [twin, *(one.name for one in serving), f"{twin}:{BASE}"]
        cards += [ModelCard(id=name, created=created, owned_by="blogtwin") for name in names]
    return ModelList(data=cards)


@router.post("/chat/completions", response_model=ChatCompletion, responses={200: {"content": CONTENT}})
async def complete(wanted: ChatRequest, request: Request, here: Here) -> Any:
    """Answer a conversation, streamed or whole, one to five times."""
    many = wanted.n or 1
    here.limits.take(request.client and request.client.host, many)
    run = await _run(wanted, here)
    if wanted.stream:
        usage = wanted.stream_options is not None and wanted.stream_options.include_usage
        return Events(_chunks(wanted.model, run, here.generation, usage))
    await while_it_listens(request.receive, here.generation.texts(run))
    return await looking(_whole, wanted.model, run)


async def _run(wanted: ChatRequest, here: Shared) -> Run:
    *before, last = [message.plain() for message in wanted.messages]
    if last.role != "user" or not last.content.strip():
        raise UsageError("the last message is not a user's, or is empty", "end the conversation with a question")
    twin, _, tag = wanted.model.partition(":")
    model = {"": FINETUNED, "latest": FINETUNED, BASE: BASE}.get(tag, wanted.model)
    run = await here.generation.write(
        GenerateRequest(
            prompt=last.content,
            before=tuple(before),
            kind="chat",
            model=model,
            twin=twin[:64],
            options=wanted.n or 1,
            max_tokens=wanted.max_completion_tokens or wanted.max_tokens,
            temperature=wanted.temperature,
            session=wanted.user,
        ),
        None if wanted.seed is None else wanted.seed % 2**31,
    )
    stops = [wanted.stop] if isinstance(wanted.stop, str) else wanted.stop or []
    changed = {} if wanted.top_p is None else {"top_p": wanted.top_p}
    run.parts = [
        replace(part, stops=tuple(stops), sampling=part.sampling.model_copy(update=changed)) for part in run.parts
    ]
    return run


def _whole(model: str, run: Run) -> ChatCompletion:
    usage, ends = _counts(run)
    return ChatCompletion(
        id=f"{_ID}{run.id}",
        created=int(time.time()),
        model=model,
        system_fingerprint=run.version,
        choices=[
            Choice(index=place, message=Message(role="assistant", content=text), finish_reason=ends[place])
            for place, text in enumerate(run.texts)
        ],
        usage=usage,
    )


def _counts(run: Run) -> tuple[Usage | None, list[Literal["stop", "length"]]]:
    """What was used, and why each text ended: at its own end, or at the length that was asked for."""
    tokens = [counted(part, text) for part, text in zip(run.parts, run.texts, strict=True)]
    ends: list[Literal["stop", "length"]] = [
        "length" if one and one[1] >= part.sampling.max_tokens else "stop"
        for one, part in zip(tokens, run.parts, strict=True)
    ]
    known = [one for one in tokens if one]
    if len(known) < len(tokens):
        return None, ends
    seen, written = known[0][0], sum(one[1] for one in known)
    return Usage(prompt_tokens=seen, completion_tokens=written, total_tokens=seen + written), ends


async def _chunks(model: str, run: Run, generation: Asking, with_usage: bool) -> AsyncIterator[bytes]:
    head = {
        "id": f"{_ID}{run.id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": run.version,
    }

    def chunk(place: int, delta: dict[str, str], end: str | None = None) -> bytes:
        return _data(head | {"choices": [{"index": place, "delta": delta, "finish_reason": end}]})

    for place in range(len(run.parts)):
        yield chunk(place, {"role": "assistant", "content": ""})
    try:
        async with aclosing(generation.pieces(run)) as pieces:
            async for place, piece in pieces:
                yield chunk(place, {"content": piece})
    except BlogtwinError as fault:
        yield _data({"error": {"message": fault.message, "type": "server_error", "param": None, "code": None}})
        return
    await generation.settled(run.id)
    usage, ends = await looking(_counts, run)
    for place, end in enumerate(ends):
        yield chunk(place, {}, end)
    if with_usage and usage:
        yield _data(head | {"choices": [], "usage": usage.model_dump()})
    yield b"data: [DONE]\n\n"


def _data(values: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n".encode()
