"""/api/report: what the last evaluation of a twin found, in a sentence; the whole of it is the page /report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from blogtwin.errors import InputError
from blogtwin.evaluation.report import read_report
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.state import Here

router = APIRouter(tags=["models"])


class ReportSummary(BaseModel):
    """page: whether there is a report to read. score: 0 sounds like the base model, 1 like the author, with its 95% interval."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"page": True, "model": "my-twin:latest", "sentence": "It writes like you.", "score": 0.8, "low": 0.6}
            ]
        },
    )

    page: bool
    model: str = ""
    sentence: Annotated[str, Field(description="the verdict; empty: there is no report, or it is an earlier version's")]
    score: float | None = None
    low: float | None = None
    high: float | None = None


@router.get("/api/report", responses=RESPONSES)
def summary(here: Here, twin: Annotated[str | None, Query(max_length=64)] = None) -> ReportSummary:
    """What the last evaluation found."""
    path = here.twins.workspace(here.twins.named(twin)).report
    page = path.with_suffix(".html").is_file()
    try:
        found = read_report(path)
    except InputError:
        return ReportSummary(page=page, sentence="")
    voice = found.voice
    return ReportSummary(
        page=page,
        model=found.model,
        sentence=found.verdict.sentence,
        score=voice.score,
        low=voice.low,
        high=voice.high,
    )
