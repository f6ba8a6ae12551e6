"""Every operation of the API, asked what its schema allows and what it forbids: no 5xx, and no answer that it does not name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from server_twins import Served, serving, settings, workshop

OPERATIONS = [
    ("POST", "/api/generate"),
    ("POST", "/api/evaluate"),
    ("GET", "/api/feedback/stats"),
    ("GET", "/api/feedback"),
    ("GET", "/api/feedback/export"),
    ("POST", "/api/feedback/{request_id}"),
    ("GET", "/api/models"),
    ("GET", "/api/twins"),
    ("GET", "/api/suggestions"),
    ("GET", "/api/training-data"),
    ("POST", "/api/reload"),
    ("POST", "/api/export"),
    ("POST", "/api/train"),
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/{job}"),
    ("DELETE", "/api/jobs/{job}"),
    ("POST", "/api/jobs/{job}/again"),
    ("GET", "/api/jobs/{job}/events"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/api/quiz"),
    ("POST", "/api/quiz/{round_id}"),
    ("GET", "/api/report"),
    ("GET", "/health"),
]
WRITES = {"/api/generate", "/api/evaluate", "/v1/chat/completions"}


@pytest.fixture(scope="module")
def served(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        with serving(settings(), workshop(tiny_adapter, folder, mode="adapter")) as there:
            yield there


@pytest.fixture(scope="module")
def schema(served: Served) -> Any:
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


def test_no_operation_is_left_out(schema: Any) -> None:
    told = {(one.ok().method.upper(), one.ok().path) for one in schema.get_all_operations()}
    assert told == set(OPERATIONS)


@pytest.fixture(autouse=True)
def _there(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_HOME", str(served.app.state.workspace.posts.parent.parent / "home"))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_makes_it_fail(schema: Any, served: Served, method: str, path: str) -> None:
    operation = schema[path][method]
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    asked = 0

    @hypothesis.settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(data=hypothesis.strategies.data())
    def ask(data: Any) -> None:
        nonlocal asked
        case = data.draw(operation.as_strategy(generation_mode=data.draw(hypothesis.strategies.sampled_from(modes))))
        if path in WRITES and isinstance(case.body, dict) and isinstance(case.body.get("max_tokens", 1), int | None):
            case.body["max_tokens"] = 3  # a text of 30,000 tokens proves no more, and takes longer
        answer = case.call(base_url=served.url)
        # Some rules no schema can say (a conversation ends with its user); a request that is too large is refused as such.
        beside = [positive_data_acceptance, *([negative_data_rejection] if answer.status_code == 413 else [])]
        case.validate_response(answer, excluded_checks=beside)
        asked += 1

    ask()
    assert asked >= 1
