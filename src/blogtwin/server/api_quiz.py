"""/api/quiz: the blind “which one is me?” on the page, round by round; who wrote what is told by nobody before the choice.

The rounds, their order and the file of choices are those of `blogtwin quiz` (stages/quiz.py), so one can be begun here and
ended there. A server that was started again prepares the same sitting again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from blogtwin.errors import BlogtwinError, UnknownRequest
from blogtwin.evaluation.quiz import YOU, QuizSummary, Shape, Writer
from blogtwin.progress import Task
from blogtwin.server.events import CONTENT, Events, event
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.state import Here, Shared
from blogtwin.stages import quiz as stage
from blogtwin.stages.quiz import Sitting

router = APIRouter(tags=["quiz"])

_SITTINGS = 64  # that are remembered; any other is prepared again when it is asked for
TwinQuery = Annotated[str | None, Query(max_length=64, description="empty: the twin of the settings")]
Reader = Annotated[str, Query(min_length=1, max_length=60, description="who reads")]
Wanted = Annotated[int, Query(ge=1, le=200, description="choices, those made earlier counted in")]


class QuizRound(BaseModel):
    """One round as it is read. texts: in the order of the screen; whose they are is not said."""

    model_config = ConfigDict(frozen=True)

    id: str
    prompt: str
    texts: tuple[str, ...]


class QuizSitting(BaseModel):
    """What is left to be asked. answered: earlier, of the `wanted` ones."""

    model_config = ConfigDict(frozen=True)

    rounds: tuple[QuizRound, ...]
    answered: int
    wanted: int
    summary: QuizSummary | None


class QuizChoice(BaseModel):
    """place: of the text taken for the author's, from 0; None: skipped. seconds: from showing to choosing."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"place": 0, "seconds": 12}]}
    )

    place: Annotated[int | None, Field(ge=0, le=2)] = None
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    twin: Annotated[str | None, Field(max_length=64)] = None
    shape: Literal["pair", "triple"] = "pair"
    reader: Annotated[str, Field(min_length=1, max_length=60)] = YOU
    reveal: Annotated[bool, Field(description="tell who wrote what; such a passage is never asked again")] = False


class QuizKept(BaseModel):
    """writers: in the order of the screen, where it was asked for."""

    model_config = ConfigDict(frozen=True)

    writers: tuple[Writer, ...] | None
    summary: QuizSummary | None


class Sittings:
    """Those that were prepared, by twin, shape and reader. Preparing one may ask the models, so only one is at a time."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Sitting] = {}
        self._preparing, self._keeping = threading.Lock(), threading.Lock()

    def prepare(self, here: Shared, twin: str, shape: Shape, wanted: int, reader: str, tell: Tell) -> Sitting:
        """Raises what stages.quiz.prepare raises."""
        with self._preparing:
            settings, workspace = here.twins.settings(twin), here.twins.workspace(twin)
            found = stage.prepare(settings, workspace, shape, wanted, reader, False, Told(tell))
            while len(self._found) >= _SITTINGS:
                self._found.pop(next(iter(self._found)))
            self._found[twin, shape, reader] = found
            return found

    def keep(self, twin: str, round_id: str, said: QuizChoice) -> QuizKept:
        """Write one choice down; a round that was answered before stays as it was. Raises UnknownRequest, OutputError."""
        sitting = self._found.get((twin, said.shape, said.reader))
        one = next((one for one in sitting.left if one.id == round_id), None) if sitting else None
        if sitting is None or one is None:
            raise UnknownRequest("this round is not open", "load the page again: the quiz goes on where it stopped")
        version = stage.version_of(sitting.twin)
        with self._keeping:
            shown = one.order(sitting.seed)
            mine = [choice for choice in stage.choices(sitting.path) if choice.reader == said.reader]
            if not any(choice.round == round_id and choice.version == version for choice in mine):
                chosen = None if said.place is None or said.place >= len(shown) else shown[said.place]
                sitting.keep(one, shown, chosen, said.seconds, said.reveal)
        return QuizKept(writers=shown if said.reveal else None, summary=stage.summary(sitting.path, version))


Tell = Callable[[Mapping[str, Any]], None]


class Told:
    """Progress as values for a stream."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _Told(self._tell, label, total)

    def note(self, message: str) -> None:
        self._tell({"label": message, "done": 0, "total": None})


class _Told:
    def __init__(self, tell: Tell, label: str, total: float | None) -> None:
        self._tell, self._label, self._total, self._done = tell, label, total, 0.0
        self.advance(0)

    def advance(self, amount: float = 1, **figures: str) -> None:
        self._done += amount
        self._tell({"label": self._label, "done": self._done, "total": self._total})


def _sittings(request: Request) -> Sittings:
    state = request.app.state
    if not hasattr(state, "sittings"):
        state.sittings = Sittings()
    found: Sittings = state.sittings
    return found


@router.get(
    "/api/quiz",
    responses=RESPONSES
    | {200: {"content": CONTENT, "description": "`progress` events, then one `sitting` or `error`"}},
    response_class=Response,  # what it refuses is JSON
)
async def begin(
    request: Request,
    here: Here,
    twin: TwinQuery = None,
    shape: Literal["pair", "triple"] = "pair",
    wanted: Wanted = 20,
    reader: Reader = YOU,
) -> Events:
    """The rounds that are left for a reader. Where no evaluation has kept the models' answers, they are asked for first."""
    name = await asyncio.to_thread(here.twins.named, twin)
    return Events(_begun(_sittings(request), here, name, shape, wanted, reader))


async def _begun(
    sittings: Sittings, here: Shared, twin: str, shape: Shape, wanted: int, reader: str
) -> AsyncIterator[bytes]:
    loop, told = asyncio.get_running_loop(), asyncio.Queue[Mapping[str, Any] | None]()

    def tell(value: Mapping[str, Any] | None) -> None:
        loop.call_soon_threadsafe(told.put_nowait, value)

    work = asyncio.create_task(asyncio.to_thread(sittings.prepare, here, twin, shape, wanted, reader, tell))
    work.add_done_callback(lambda _: told.put_nowait(None))
    while (value := await told.get()) is not None:
        yield event("progress", value)
    try:
        sitting = work.result()
        summary = await asyncio.to_thread(stage.summary, sitting.path, stage.version_of(sitting.twin))
    except BlogtwinError as fault:
        yield event("error", {"error": fault.message, "hint": fault.hint})
        return
    rounds = tuple(
        QuizRound(id=one.id, prompt=one.prompt, texts=tuple(one.texts[writer] for writer in one.order(sitting.seed)))
        for one in sitting.left
    )
    answer = QuizSitting(rounds=rounds, answered=sitting.answered, wanted=wanted, summary=summary)
    yield event("sitting", answer.model_dump(mode="json"))


@router.post("/api/quiz/{round_id}", responses=RESPONSES)
def choose(round_id: Annotated[str, InPath(max_length=64)], said: QuizChoice, request: Request, here: Here) -> QuizKept:
    """Choose a text of a round, or skip it. It is on disk when this is answered; the first answer counts."""
    return _sittings(request).keep(here.twins.named(said.twin), round_id, said)
