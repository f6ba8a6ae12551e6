"""/api/train and /api/jobs: start a training, watch it, stop it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from blogtwin.config import model_name
from blogtwin.errors import BlogtwinError
from blogtwin.server import job_process
from blogtwin.server.events import Events, event
from blogtwin.server.job_progress import Bar, Picture
from blogtwin.server.job_queue import Job, State
from blogtwin.server.jobs import Jobs, NotYet, is_open, seconds
from blogtwin.server.refusals import RESPONSES, refusal
from blogtwin.server.schemas import Trouble, TwinName

router = APIRouter(tags=["training"])

_LOG_LINES = 40
_LOOK_EVERY = 0.5  # seconds
_SIGN_OF_LIFE = 15.0  # seconds: proxies close what is silent
JobId = Annotated[str, InPath(max_length=64, pattern="^[0-9A-Za-z-]+$", examples=["20261121T193101-3f9ac01b"])]


class TrainRequest(BaseModel):
    """A training that is wanted: one turn of learning, as `blogtwin learn` does it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{}, {"twin": "my-twin", "method": "dpo"}]}
    )
    twin: TwinName | None = None
    method: Annotated[Literal["auto", "sft", "dpo", "kto"], Field(description="auto: by what readers said")] = "auto"
    epochs: Annotated[float | None, Field(gt=0, le=100, description="empty: by the amount of feedback")] = None
    learning_rate: Annotated[float | None, Field(gt=0, lt=1, description="empty: by size of corpus and base")] = None


class JobAnswer(BaseModel):
    """A training. bars: what it does now. losses: (step, nats a token) since it began. log: its last lines."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "20261121T193101-3f9ac01b",
                    "twin": "my-twin",
                    "kind": "learn",
                    "state": "running",
                    "created_at": "2026-11-21T19:31:01Z",
                    "started_at": "2026-11-21T19:31:02Z",
                    "ended_at": None,
                    "seconds": 81.5,
                    "bars": [{"label": "Training", "done": 12, "total": 60, "unit": "steps", "rate": 0.4}],
                    "notes": ["learning 3/6: train with dpo"],
                    "losses": [[4, 2.31], [8, 2.1]],
                    "error": "",
                    "version": None,
                    "log": "",
                }
            ]
        },
    )
    id: str
    twin: str
    kind: str
    state: State
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    bars: list[Bar] = []
    notes: list[str] = []
    losses: list[tuple[float, float]] = []
    error: str = ""
    version: Annotated[str | None, Field(description="the version that came of it")] = None
    log: str = ""

    @classmethod
    def of(cls, job: Job, log: bool = False) -> JobAnswer:
        """log: with its last lines, where they are on this machine."""
        picture = Picture.model_validate(job.progress)
        return cls(
            id=job.id,
            twin=job.twin,
            kind=job.kind,
            state=job.state,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            seconds=round(seconds(job), 1),
            bars=list(picture.bars.values()),
            notes=picture.notes,
            losses=picture.losses,
            error=job.error,
            version=job.version,
            log=job_process.tail(Path(job.log), _LOG_LINES) if log else "",
        )


class JobList(BaseModel):
    """Trainings, the latest first."""

    jobs: list[JobAnswer]


def _jobs(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


Trainings = Annotated[Jobs, Depends(_jobs)]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: RESPONSES[status] for status in (400, 401, 403, 404, 421, 422, 503)
}


@router.post(
    "/api/train",
    status_code=202,
    response_model=JobAnswer,
    responses=_ANSWERS | {409: {"model": Trouble, "description": "too little to learn from yet"}, 413: RESPONSES[413]},
)
def train(wanted: TrainRequest, request: Request, jobs: Trainings) -> JobAnswer | JSONResponse:
    """Queue a training; while one of the twin waits or runs, that one is given. Three judgements are the least."""
    options = {"--method": wanted.method, "--epochs": wanted.epochs, "--lr": wanted.learning_rate}
    told = [str(part) for flag, value in options.items() if value is not None for part in (flag, value)]
    twin = model_name(wanted.twin).partition(":")[0] if wanted.twin else None
    try:
        job, _ = jobs.train(twin, told)
    except NotYet as few:
        return refusal(request.url.path, 409, few.message, few.hint)
    return JobAnswer.of(job)


@router.get("/api/jobs", responses=_ANSWERS)
def list_jobs(
    jobs: Trainings,
    twin: Annotated[str | None, Query(max_length=64, pattern="^[a-z0-9._-]+$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobList:
    """Trainings, the latest first."""
    return JobList(jobs=[JobAnswer.of(job) for job in jobs.queue.newest(twin, limit)])


@router.get("/api/jobs/{job}", responses=_ANSWERS)
def show_job(job: JobId, jobs: Trainings) -> JobAnswer:
    """One training, with the last lines of its log."""
    return JobAnswer.of(jobs.queue.find(job), log=True)


@router.get(
    "/api/jobs/{job}/events",
    response_class=Response,
    responses=_ANSWERS
    | {200: {"content": {"text/event-stream": {}}, "description": "`job` events, the last when it ends"}},
)
async def watch_job(job: JobId, jobs: Trainings) -> Events:
    """A `job` event whenever something is new about it, each a whole JobAnswer; the stream ends with the job."""
    await to_thread.run_sync(jobs.queue.find, job)  # one that is unknown is refused before the stream begins
    return Events(_told(job, jobs))


async def _told(name: str, jobs: Jobs) -> AsyncIterator[bytes]:
    before, silent = "", 0.0
    while True:
        try:
            job = await to_thread.run_sync(jobs.queue.find, name)
        except BlogtwinError as fault:  # the database is away for a moment; the client asks again by itself
            yield event("trouble", {"error": fault.message, "hint": fault.hint})
            return
        answer = await to_thread.run_sync(JobAnswer.of, job, True)
        now = answer.model_dump_json(exclude={"seconds"})
        if now != before:
            before, silent = now, 0.0
            yield event("job", answer.model_dump(mode="json"))
        elif silent >= _SIGN_OF_LIFE:
            silent = 0.0
            yield b": still here\n\n"
        if not is_open(job):
            return
        await anyio.sleep(_LOOK_EVERY)
        silent += _LOOK_EVERY


@router.post("/api/jobs/{job}/again", status_code=202, responses=_ANSWERS)
def again(job: JobId, jobs: Trainings) -> JobAnswer:
    """Start it once more, with what it was told: it goes on where it was cut off."""
    return JobAnswer.of(jobs.again(job))


@router.delete("/api/jobs/{job}", responses=_ANSWERS)
def cancel(job: JobId, jobs: Trainings) -> JobAnswer:
    """Take it out of the queue, or stop it; one that is over stays as it is. Its last checkpoint is kept."""
    return JobAnswer.of(jobs.cancel(job))
