"""Asking twins and bases: a request → texts as they are written, which are remembered for as long as they can be judged.

In: what a client wants. Out: a Run, whose pieces can be streamed; closing them stops the generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from blogtwin.dataset.passages import Passage
from blogtwin.dataset.sections import estimated_tokens
from blogtwin.errors import BlogtwinError, RuntimeUnavailable, UsageError
from blogtwin.feedback.store import Store
from blogtwin.records import Message, Sampling
from blogtwin.runtimes.answer import Answer, Refused
from blogtwin.server.asking import asked
from blogtwin.server.rewriting import Rewriting
from blogtwin.server.schemas import GenerateRequest
from blogtwin.server.speakers import BASE, FINETUNED, Speaker, Speakers
from blogtwin.server.stops import Cut
from blogtwin.server.streaming import Voice, merged
from blogtwin.server.threads import looking, writing
from blogtwin.server.topics import Topics
from blogtwin.server.twins import Twins
from blogtwin.service_records import Draft, Generation, Kind
from blogtwin.writing import rewrite


@dataclass(frozen=True)
class Part:
    """One text that is asked for. stops: texts that end it, and are no part of it.

    passages: of a text that is rewritten, each with `instruction`; then `messages` are what the whole would be asked with.
    """

    speaker: Speaker
    messages: tuple[Message, ...]
    sampling: Sampling
    voice: float = 1.0
    stops: tuple[str, ...] = ()
    passages: tuple[Passage, ...] = ()
    instruction: str = ""

    def answer(self) -> Answer | Rewriting:
        """Nothing is asked before the first piece is wanted."""
        if self.passages:
            return Rewriting(self.passages, self._rewritten)
        return self.speaker.chat(self.messages, self.sampling, self.voice)

    def _rewritten(self, passage: Passage) -> Answer:
        most, seed = self.sampling.max_tokens, self.sampling.seed or 0
        room = rewrite.sampling_of(self.sampling, seed, self.speaker.context, estimated_tokens(passage.text))
        chosen = room.model_copy(update={"max_tokens": min(room.max_tokens, most)})
        return self.speaker.chat((rewrite.message(passage.text, self.instruction),), chosen, self.voice)


@dataclass
class Run:
    """One request that is being answered. texts: what has been written so far. remark: why it cannot be judged; "": it can.

    whole: for each text, whether its model ended it.
    """

    twin: str
    kind: Kind
    subject: str
    prompt: str
    before: tuple[Message, ...]
    parts: Sequence[Part]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.monotonic)
    texts: list[str] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    remark: str = ""

    @property
    def version(self) -> str:
        """Of the first text."""
        return self.parts[0].speaker.version

    @property
    def seconds(self) -> float:
        """Since it began."""
        return round(time.monotonic() - self.began, 3)


class Asking:
    """`app.state.generation`. store: where generations are remembered."""

    def __init__(self, store: Store, twins: Twins, speakers: Speakers, topics: Topics) -> None:
        self._store, self._twins, self.speakers, self._topics = store, twins, speakers, topics
        self._turns: dict[tuple[str, str], asyncio.Semaphore] = {}
        self._remembering: dict[str, asyncio.Task[None]] = {}

    async def write(self, wanted: GenerateRequest, seed: int | None = None) -> Run:
        """A run of `wanted.options` texts by one version. Raises what Speakers.find and `asked` raise."""
        return await looking(self._run, wanted, (wanted.model,), seed)

    async def compare(self, wanted: GenerateRequest, seed: int | None = None) -> Run:
        """A run of two texts, by the twin and by its base, with the same sampling and seed."""
        return await looking(self._run, wanted, (FINETUNED, BASE), seed)

    def _run(self, wanted: GenerateRequest, models: Sequence[str], seed: int | None) -> Run:
        twin = self._twins.named(wanted.twin)
        speakers = [self.speakers.find(twin, model, wanted.session) for model in models]
        one = asked(wanted, self._twins.wordings(twin), speakers[0], seed)
        return Run(
            twin=twin,
            kind=wanted.kind,
            subject=wanted.subject or self._topics.subject_of(twin, wanted.prompt),
            prompt=one.prompt,
            before=one.before,
            parts=[
                Part(
                    speaker,
                    one.messages,
                    sampling,
                    wanted.style.voice if speaker.version != BASE else 1.0,
                    passages=one.passages,
                    instruction=one.instruction,
                )
                for speaker in speakers
                for sampling in one.samplings
            ],
        )

    async def pieces(self, run: Run) -> AsyncGenerator[tuple[int, str]]:
        """(which text, a piece of it) as they are written; what was written is remembered, also when it is stopped.

        Raises RuntimeUnavailable; UsageError for a conversation that is longer than the model can see.
        """
        run.texts, cuts = [""] * len(run.parts), [Cut(part.stops) for part in run.parts]
        voices = [Voice(part.answer(), await self._turns_of(part.speaker)) for part in run.parts]
        ended = False
        try:
            async with aclosing(merged(voices)) as stream:
                async for number, piece in stream:
                    if shown := cuts[number].feed(piece):
                        run.texts[number] += shown
                        yield number, shown
                    if cuts[number].done:
                        voices[number].answer.close()
            for number, cut in enumerate(cuts):
                if held := cut.rest():
                    run.texts[number] += held
                    yield number, held
            ended = True
        except RuntimeUnavailable as fault:
            raise _plainer(fault, run.parts[0].speaker) from fault
        finally:
            run.whole = [voice.answer.whole for voice in voices]
            if ended or any(run.texts):  # that nothing came is worth a judgement too
                self._keep(run)

    async def texts(self, run: Run) -> list[str]:
        """All texts, when they are written and remembered."""
        async with aclosing(self.pieces(run)) as stream:
            async for _ in stream:
                pass
        await self.settled(run.id)
        return run.texts

    async def settled(self, request_id: str) -> None:
        """Until a generation that has just ended is remembered; returns at once for all others."""
        if task := self._remembering.get(request_id):
            await asyncio.shield(task)

    async def close(self) -> None:
        """Remember what is still to be remembered; take the bases out of service."""
        await asyncio.gather(*self._remembering.values(), return_exceptions=True)
        await looking(self.speakers.close)

    def _keep(self, run: Run) -> None:
        task = asyncio.create_task(self._remember(run))
        self._remembering[run.id] = task
        task.add_done_callback(lambda _: self._remembering.pop(run.id, None))

    async def _remember(self, run: Run) -> None:
        drafts = [
            Draft(version=part.speaker.version, text=text, cut=not whole)
            for part, text, whole in zip(run.parts, run.texts, run.whole, strict=True)
        ]
        made = Generation(
            id=run.id,
            twin=run.twin,
            kind=run.kind,
            subject=run.subject,
            prompt=run.prompt,
            before=run.before,
            drafts=tuple(drafts),
            created_at=datetime.now(UTC),
        )
        try:
            await writing(self._store.remember, made)
        except BlogtwinError as fault:  # the text is there, and that counts more
            run.remark = f"this text cannot be judged: {fault.message}"

    async def _turns_of(self, speaker: Speaker) -> asyncio.Semaphore:
        """As many as are worth while at once; the others wait in their order."""
        key = (speaker.runtime.name, speaker.name)
        if key not in self._turns:
            most = 1
            with contextlib.suppress(RuntimeUnavailable):  # asking it says what is wrong
                most = await looking(speaker.runtime.concurrency, speaker.name)
            self._turns.setdefault(key, asyncio.Semaphore(most))
        return self._turns[key]


def _plainer(fault: RuntimeUnavailable, speaker: Speaker) -> BlogtwinError:
    """A conversation that is too long is for whoever sent it to mend."""
    if isinstance(fault.__cause__, Refused) and "context" in str(fault.__cause__):
        return UsageError(
            f"this is longer than {speaker.version} can see: {speaker.context} tokens at once",
            "send a shorter text, or a part of it",
        )
    return fault
