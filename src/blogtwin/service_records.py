"""The records that service makes: what was drafted for a reader, what the reader said of it, and the versions that drafted.

The server and the command line write them, the store keeps them, and the next version is trained on them. Nobody who reads or
writes is named in any of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from blogtwin.records import Message, Record

Kind = Literal["write", "rewrite", "continue", "chat"]
Rating = Literal[-1, 0, 1]
State = Literal["candidate", "challenger", "champion", "retired"]


class Draft(Record):
    """One answer, and the version that gave it: a dated name, or `base`. cut: it was stopped before its end, or ran out."""

    version: str
    text: str
    cut: bool = False


class Generation(Record):
    """A request that was answered: remembered for a while, so that it can be judged.

    twin: a name without its tag. prompt: the last message, as the model saw it. before: the turns above it.
    drafts: all that were offered, in their order, at least one.
    """

    id: str
    twin: str
    kind: Kind
    subject: str
    prompt: str
    before: tuple[Message, ...] = ()
    drafts: tuple[Draft, ...] = Field(min_length=1)
    created_at: datetime


class Judgement(Record):
    """What a reader says of a generation; what is None leaves what was said before as it is.

    rating: 1 good, -1 bad, 0 neither. chosen: the place of the best draft, from 0. approved: the text may be learned as it is.
    """

    rating: Rating | None = None
    comment: str | None = None
    edited_text: str | None = None
    chosen: int | None = Field(default=None, ge=0)
    approved: bool | None = None


class Feedback(Record):
    """A generation and all that was said of it: what is stored, exported and imported again.

    response, version: the draft that the judgement is about, the chosen one or else the first, and who gave it.
    place: turns of the user above the prompt. learned_by: the version that was trained with it, as it is now.
    """

    id: str
    twin: str
    kind: Kind
    subject: str
    prompt: str
    before: tuple[Message, ...] = ()
    place: int = 0
    drafts: tuple[Draft, ...] = Field(min_length=1)
    response: str
    version: str
    rating: Rating | None = None
    comment: str = ""
    edited_text: str | None = None
    chosen: int | None = None
    approved: bool = False
    created_at: datetime
    judged_at: datetime
    exported_at: datetime | None = None
    learned_by: str | None = None

    @property
    def liked(self) -> bool | None:
        """Whether it counts as a like or a dislike; None: neither was said."""
        return None if not self.rating else self.rating > 0


class Version(Record):
    """One trained and proved model of a twin, under the dated name that never means another.

    share: per cent of the twin's requests. parent: the version it was trained on from. metrics: of evaluation and training.
    """

    name: str
    twin: str
    runtime: str
    adapter: str  # an absolute path
    base_model: str
    base_hash: str
    parent: str | None = None
    method: str
    data_hash: str
    settings_hash: str
    sizes: dict[str, float] = Field(default_factory=dict)  # megabytes, tokens, examples
    metrics: dict[str, float] = Field(default_factory=dict)
    created_at: datetime
    state: State = "candidate"
    share: int = Field(default=0, ge=0, le=100)
    state_since: datetime
