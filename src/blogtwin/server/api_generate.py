"""/api/generate and /api/evaluate: texts by a twin, and by twin and base beside each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from blogtwin.errors import BlogtwinError
from blogtwin.server.events import CONTENT, Events, event
from blogtwin.server.generation import Asking, Run
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.schemas import EvaluateRequest, EvaluateResponse, GenerateRequest, GenerateResponse
from blogtwin.server.state import Here
from blogtwin.server.streaming import while_it_listens

router = APIRouter(tags=["writing"])


@router.post("/api/generate", response_model=GenerateResponse, responses=RESPONSES | {200: {"content": CONTENT}})
async def generate(wanted: GenerateRequest, request: Request, here: Here) -> Any:
    """Write, rewrite, continue or answer. Closing the connection stops it at once; what was written until then can be judged.

    Streamed: `start` {request_id, version, options}, then `piece` {option, text} as they come, at last `end`, which is the
    answer that comes without streaming; or `error` {error, hint}.
    """
    here.limits.take(request.client and request.client.host, wanted.options)
    run = await here.generation.write(wanted)
    return await _answer(wanted.stream, run, request, here.generation, _written)


@router.post("/api/evaluate", response_model=EvaluateResponse, responses=RESPONSES | {200: {"content": CONTENT}})
async def evaluate(wanted: EvaluateRequest, request: Request, here: Here) -> Any:
    """Twin and base side by side, with the same sampling and seed. Streamed as /api/generate: option 0 is the twin, 1 the base.

    The first time, the base is put into service, which may take a minute.
    """
    here.limits.take(request.client and request.client.host, 2)
    run = await here.generation.compare(GenerateRequest(**wanted.model_dump()))
    return await _answer(wanted.stream, run, request, here.generation, _compared)


async def _answer(
    stream: bool, run: Run, request: Request, generation: Asking, whole: Callable[[Run], BaseModel]
) -> BaseModel | Response:
    if stream:
        return Events(_events(run, generation, whole))
    await while_it_listens(request.receive, generation.texts(run))
    return whole(run)


async def _events(run: Run, generation: Asking, whole: Callable[[Run], BaseModel]) -> AsyncIterator[bytes]:
    yield event("start", {"request_id": run.id, "version": run.version, "options": len(run.parts)})
    try:
        async with aclosing(generation.pieces(run)) as pieces:
            async for number, piece in pieces:
                yield event("piece", {"option": number, "text": piece})
    except BlogtwinError as fault:
        yield event("error", {"error": fault.message, "hint": fault.hint})
        return
    await generation.settled(run.id)
    yield event("end", whole(run).model_dump())


def _written(run: Run) -> GenerateResponse:
    return GenerateResponse(
        request_id=run.id,
        version=run.version,
        text=run.texts[0],
        texts=tuple(run.texts),
        seconds=run.seconds,
        remark=run.remark,
    )


def _compared(run: Run) -> EvaluateResponse:
    twin, base = run.texts
    return EvaluateResponse(
        request_id=run.id, version=run.version, twin=twin, base=base, seconds=run.seconds, remark=run.remark
    )
