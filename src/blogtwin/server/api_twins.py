"""/api/models, /api/twins, /api/suggestions, /api/training-data, /api/reload, /api/export: what is here to write with."""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from blogtwin import jsonl
from blogtwin.records import Example
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.schemas import (
    ExportRequest,
    Model,
    Models,
    Reloaded,
    Suggestions,
    TrainingData,
    TrainingRow,
    TwinInfo,
    Twins,
)
from blogtwin.server.speakers import BASE
from blogtwin.server.state import Here, Shared
from blogtwin.service_records import Version

router = APIRouter(responses=RESPONSES)
TwinQuery = Annotated[str | None, Query(max_length=64, description="empty: the twin of the settings")]
_TYPES = {
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the file",
        "content": {
            kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for kind in _TYPES.values()
        },
    }
}


@router.get("/api/models", tags=["models"])
def models(here: Here, twin: TwinQuery = None) -> Models:
    """What can be asked for as `model`, what of it is really served, and whether its voice can be weakened."""
    name = here.twins.named(twin)
    found = [_model(here, one) for one in here.versions.list(name)]
    own = here.twins.deployed(name)
    if here.settings.deployment.runtime == "openai":  # what stands there is no concern of the register
        found = [_own(here, name, here.settings.deployment.model_name)]
    elif not any(one.state == "champion" for one in found) and own:
        found.insert(0, _own(here, name, own.version or own.name))
    champion = next((one.name for one in found if one.state == "champion"), "")
    runtime = found[0].runtime if found else ""
    if champion and (own or runtime != "openai"):
        why = "the base has no voice to weaken"
        found.append(Model(name=BASE, twin=name, state="base", share=0, runtime=runtime, voice=False, why_not=why))
    return Models(twin=name, default=champion, models=tuple(found))


@router.get("/api/twins", tags=["models"])
def twins(here: Here) -> Twins:
    """The twins of this installation, the one of the settings first."""
    found = []
    for name in here.twins.names():
        champion, own = here.versions.champion(name), here.twins.deployed(name)
        serving = champion.name if champion else (own.version or own.name) if own else ""
        many = len(here.versions.list(name)) or int(own is not None)
        found.append(TwinInfo(name=name, champion=serving, versions=many, default=name == here.twins.default))
    return Twins(twins=tuple(found))


@router.get("/api/suggestions", tags=["writing"])
def suggestions(here: Here, twin: TwinQuery = None) -> Suggestions:
    """Topics from the author's own tags, the most frequent first, and prompts made from some of them."""
    name = here.twins.named(twin)
    return Suggestions(topics=tuple(here.topics.topics(name)), prompts=tuple(here.topics.prompts(name)))


@router.get("/api/training-data", tags=["models"])
def training_data(
    here: Here,
    twin: TwinQuery = None,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=0, le=200)] = 20,
) -> TrainingData:
    """What the twin is trained on, a page of it, and how many judgements wait to be learned."""
    name = here.twins.named(twin)
    file = here.twins.workspace(name).training_data
    examples, posts, rows = 0, set(), []
    if file.is_file():
        for _, line in jsonl.lines(file):
            examples += 1
            posts.add(line.get("post_id"))
        rows = list(islice(jsonl.read(file, Example), offset, offset + limit))
    return TrainingData(
        examples=examples,
        posts=len(posts),
        unlearned=here.jobs.queue.unlearned(name),
        minimum=here.settings.learning.minimum,
        rows=tuple(TrainingRow(**row.model_dump(include=set(TrainingRow.model_fields))) for row in rows),
    )


@router.post("/api/reload", tags=["models"])
def reload(here: Here) -> Reloaded:
    """Read wordings and topics anew, and give back the memory of models that nobody asks at the moment."""
    here.twins.reload()
    here.topics.reload()
    here.generation.speakers.reload()
    return Reloaded(models=tuple(one.name for one in models(here).models))


@router.post("/api/export", tags=["writing"], response_class=Response, responses=_FILE)
def export_draft(wanted: ExportRequest) -> Response:
    """A draft as a Markdown, HTML or Word file. Nothing that it says can run or fetch anything."""
    from blogtwin.writing.page import heading, html, parse
    from blogtwin.writing.word import docx

    if wanted.format == "docx":
        content = docx(wanted.text, wanted.title)
    else:
        text = html(wanted.text, wanted.title) if wanted.format == "html" else wanted.text.strip() + "\n"
        content = text.encode("utf-8", "replace")
    title = wanted.title or heading(parse(wanted.text[:2000]))
    name = "-".join(re.findall(r"[a-z0-9]+", title.lower()))[:60].strip("-") or "post"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{wanted.format}"'}
    return Response(content, media_type=_TYPES[wanted.format], headers=headers)


def _model(here: Shared, version: Version) -> Model:
    speaker = here.generation.speakers.known(version.name)
    return Model(
        name=version.name,
        twin=version.twin,
        state=version.state,
        share=version.share,
        runtime=version.runtime,
        voice=speaker is not None and not speaker.fixed,
        why_not=speaker.fixed if speaker else "it is not served here",
        created_at=version.created_at,
        served=speaker is not None and version.state != "retired",
    )


def _own(here: Shared, twin: str, name: str) -> Model:
    """A twin that was deployed before versions were recorded: it is its own champion."""
    speaker = here.generation.speakers.known(name)
    return Model(
        name=name,
        twin=twin,
        state="champion",
        share=100,
        runtime=speaker.runtime.name if speaker else "",
        voice=speaker is not None and not speaker.fixed,
        why_not=speaker.fixed if speaker else "it is not served here",
        served=speaker is not None,
    )
