"""The server over HTTP, with a real twin in the embedded llama.cpp and a real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server_twins import TWIN, Served, serving, settings, workshop


@pytest.fixture(scope="module")
def served(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        with serving(settings(), workshop(tiny_adapter, folder)) as there:
            yield there


@pytest.fixture(autouse=True)
def _there(served: Served, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_HOME", str(served.app.state.workspace.posts.parent.parent / "home"))


def events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream that has ended."""
    found = []
    for block in response.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_text_is_written_and_can_be_judged(served: Served) -> None:
    answer = served.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 12})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["text"]
    assert told["version"].startswith(f"{TWIN}:")
    judged = served.client.post(f"/api/feedback/{told['request_id']}", json={"rating": 1, "comment": "yes"})
    assert judged.status_code == 200, judged.text
    row = judged.json()
    assert (row["response"], row["rating"], row["twin"], row["subject"]) == (told["text"], 1, TWIN, "tides")


def test_a_stream_begins_with_its_id_and_ends_with_all_texts(served: Served) -> None:
    asked = {"prompt": "bread", "max_tokens": 10, "options": 3, "stream": True}
    answer = served.client.post("/api/generate", json=asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer)
    assert told[0][0] == "start"
    assert told[-1][0] == "end"
    texts = ["", "", ""]
    for name, data in told[1:-1]:
        assert name == "piece"
        texts[data["option"]] += data["text"]
    assert told[-1][1]["texts"] == texts
    assert told[-1][1]["request_id"] == told[0][1]["request_id"]
    chosen = served.client.post(f"/api/feedback/{told[0][1]['request_id']}", json={"chosen": 2}).json()
    assert chosen["response"] == texts[2]
