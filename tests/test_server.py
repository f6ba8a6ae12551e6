"""The server over HTTP, with a real twin in the embedded llama.cpp and a real database."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from blogtwin import defaults, jsonl
from blogtwin.feedback.twins import settle
from blogtwin.records import Post
from blogtwin.service_records import Version
from blogtwin.workspace import deployment, find_deployment, save_deployment
from server_twins import TWIN, Served, serving, settings, workshop


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A twin deployed as an adapter beside its base, so that its voice can be weakened; over a database of each kind."""
    folder = tmp_path_factory.mktemp("served")
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        there = workshop(tiny_adapter, folder, mode="adapter")
        with serving(settings(feedback={"database_url": url}), there) as served:
            yield served


@pytest.fixture(autouse=True)
def _there(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_HOME", str(served.app.state.workspace.posts.parent.parent / "home"))


def events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream that has ended."""
    found = []
    for block in response.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def generated(served: Served, **asked: Any) -> dict[str, Any]:
    answer = served.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 12} | asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def prompt_of(served: Served, **asked: Any) -> str:
    """What the model was asked."""
    told = generated(served, **asked)
    return str(served.client.post(f"/api/feedback/{told['request_id']}", json={"rating": 0}).json()["prompt"])


def test_a_text_that_was_cut_off_is_remembered_as_such(served: Served) -> None:
    told = generated(served, max_tokens=2, options=5)  # any one of them may have ended by then, by chance
    row = served.client.post(f"/api/feedback/{told['request_id']}", json={"rating": 1}).json()
    assert any(draft["cut"] for draft in row["drafts"])


def test_a_text_is_written_and_can_be_judged_bit_by_bit(served: Served) -> None:
    told = generated(served)
    assert told["text"]
    assert told["version"].startswith(f"{TWIN}:2")
    place = f"/api/feedback/{told['request_id']}"
    row = served.client.post(place, json={"rating": 1}).json()
    assert (row["response"], row["rating"], row["twin"], row["subject"]) == (told["text"], 1, TWIN, "tides")
    row = served.client.post(place, json={"edited_text": "Six, and drizzle.", "comment": "shorter"}).json()
    assert (row["rating"], row["edited_text"], row["comment"]) == (1, "Six, and drizzle.", "shorter")


def test_a_stream_begins_with_its_id_and_ends_with_all_texts(served: Served) -> None:
    asked = {"prompt": "bread", "max_tokens": 10, "options": 3, "stream": True}
    answer = served.client.post("/api/generate", json=asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer)
    assert told[0] == ("start", told[0][1])
    assert told[0][1]["options"] == 3
    assert told[-1][0] == "end"
    texts = ["", "", ""]
    for name, data in told[1:-1]:
        assert name == "piece"
        texts[data["option"]] += data["text"]
    assert told[-1][1]["texts"] == texts
    assert told[-1][1]["request_id"] == told[0][1]["request_id"]
    chosen = served.client.post(f"/api/feedback/{told[0][1]['request_id']}", json={"chosen": 2}).json()
    assert chosen["response"] == texts[2]


def test_base_and_twin_answer_side_by_side_and_one_can_be_chosen(served: Served) -> None:
    asked = {"prompt": "tides", "max_tokens": 16, "temperature": 0}
    told = served.client.post("/api/evaluate", json=asked).json()
    assert told["twin"] != told["base"]
    row = served.client.post(f"/api/feedback/{told['request_id']}", json={"chosen": 1}).json()
    assert (row["version"], row["response"]) == ("base", told["base"])
    assert [draft["version"] for draft in row["drafts"]] == [told["version"], "base"]
    assert generated(served, model="base", temperature=0, max_tokens=16)["text"] == told["base"]
    streamed = events(served.client.post("/api/evaluate", json=asked | {"stream": True}))
    assert (streamed[-1][1]["twin"], streamed[-1][1]["base"]) == (told["twin"], told["base"])


def test_each_kind_is_asked_for_in_the_words_of_training(served: Served) -> None:
    assert prompt_of(served, prompt="the tide") == "Write a blog post about: the tide"
    assert prompt_of(served, kind="rewrite", prompt="At ten.") == "Rewrite this in your own voice.\n\nAt ten."
    text = "# The tide\n\nIt left a screw."
    assert prompt_of(served, kind="continue", prompt=text) == (f"Continue this post, “The tide”, to its end.\n\n{text}")
    outline = "- a screw\n- a washer\n- nothing"
    assert prompt_of(served, prompt="the tide", source=outline) == (
        f"Write a blog post titled “the tide” that follows this outline.\n\n{outline}"
    )
    notes = "It left a screw. Ask the harbour master."
    assert prompt_of(served, prompt="the tide", source=notes).endswith(f"Use these notes:\n\n{notes}")
    assert prompt_of(served, kind="chat", prompt="And then?") == "And then?"


def test_a_text_longer_than_the_twin_can_see_is_rewritten_passage_by_passage(served: Served) -> None:
    code = "```python\nwade('out')\n```"
    text = "\n\n".join([*(f"Paragraph {number}. " + "The tide left a screw. " * 12 for number in range(30)), code])
    told = generated(served, kind="rewrite", prompt="Keep it calm.", source=text, max_tokens=4)
    assert told["text"].endswith(code)
    assert told["text"].count("\n\n") >= 5
    row = served.client.post(f"/api/feedback/{told['request_id']}", json={"rating": 1}).json()
    assert row["prompt"] == f"Rewrite this in your own voice. Keep it calm.\n\n{text}"
    assert row["kind"] == "rewrite"


def test_a_conversation_is_remembered_with_its_turns(served: Served) -> None:
    before = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Six."}]
    told = generated(served, kind="chat", prompt="And then?", before=before)
    row = served.client.post(f"/api/feedback/{told['request_id']}", json={"rating": -1}).json()
    assert (row["place"], [turn["content"] for turn in row["before"]]) == (1, ["Hello", "Six."])


def test_style_changes_what_is_asked_and_how_long_it_gets(served: Served) -> None:
    plain = prompt_of(served)
    formal = prompt_of(served, style={"formality": 2, "warmth": -2})
    assert formal.startswith(plain)
    assert "formal register" in formal
    assert "matter-of-fact" in formal
    assert "about 20 words" in prompt_of(served, style={"length": 20})
    told = [generated(served, max_tokens=None, options=5, style={"length": length})["texts"] for length in (10, 100)]
    short, long = (sum(map(len, texts)) for texts in told)  # any one of them may end early, by chance
    assert short < long


def test_less_of_the_voice_is_nearer_to_the_base(served: Served) -> None:
    asked = {"temperature": 0, "max_tokens": 16}
    base, twin = generated(served, model="base", **asked)["text"], generated(served, **asked)["text"]
    assert base != twin
    assert generated(served, style={"voice": 0.0}, **asked)["text"] == base
    assert generated(served, style={"voice": 1.0}, **asked)["text"] == twin
    (own,) = [one for one in served.client.get("/api/models").json()["models"] if one["state"] == "champion"]
    assert own["voice"]


def test_models_twins_and_suggestions_are_what_is_here(served: Served) -> None:
    told = served.client.get("/api/models").json()
    assert told["twin"] == TWIN
    assert [one["state"] for one in told["models"]] == ["champion", "base"]
    assert told["default"] == told["models"][0]["name"] == find_deployment(TWIN).version  # type: ignore[union-attr]
    (twin,) = served.client.get("/api/twins").json()["twins"]
    assert (twin["name"], twin["champion"], twin["default"]) == (TWIN, told["default"], True)
    ideas = served.client.get("/api/suggestions").json()
    assert set(ideas["topics"]) == {"tides", "bread", "mornings"}
    assert all(any(topic in prompt.lower() for topic in ideas["topics"]) for prompt in ideas["prompts"])
    assert served.client.get("/api/suggestions?twin=nobody").status_code == 404


def version(name: str, **changes: Any) -> Version:
    now = datetime.now(UTC)
    known: dict[str, Any] = {
        "name": name,
        "twin": TWIN,
        "runtime": "llama-cpp",
        "adapter": "/nowhere",
        "base_model": "tiny",
        "base_hash": "0",
        "method": "sft",
        "data_hash": "0",
        "settings_hash": "0",
        "created_at": now,
        "state_since": now,
    }
    return Version(**known | changes)


def test_a_promotion_and_a_rollback_count_from_the_next_request_on(served: Served) -> None:
    versions, runtime = served.app.state.versions, served.app.state.generation.speakers
    first = find_deployment(TWIN).version  # type: ignore[union-attr]
    assert first is not None
    newer = f"{TWIN}:2026-11-22-abcdef"
    speaker = runtime.find(TWIN, "finetuned", None)
    speaker.runtime.copy(first, newer)
    save_deployment(deployment(first).model_copy(update={"name": newer, "version": newer}))
    if versions.champion(TWIN) is None:
        versions.record(version(first))
        versions.promote(first, "first")
    versions.record(version(newer))
    versions.promote(newer, "better")
    try:
        assert generated(served)["version"] == newer
        refused = served.client.post("/api/generate", json={"prompt": "tides", "model": first})
        assert refused.status_code == 404
        assert newer in refused.json()["hint"]
    finally:
        versions.rollback(TWIN, "worse")
    assert generated(served)["version"] == first
    assert generated(served, model=first)["version"] == first
    unknown = served.client.post("/api/generate", json={"prompt": "tides", "model": f"{TWIN}:2020-01-01-abcdef"})
    assert unknown.status_code == 404
    assert first in unknown.json()["hint"]
    versions.record(version(newer))
    versions.traffic(TWIN, {newer: 50})
    try:
        by_session = {f"s{number}": generated(served, session=f"s{number}")["version"] for number in range(16)}
        assert set(by_session.values()) == {first, newer}
        assert {generated(served, session="s9")["version"] for _ in range(3)} == {by_session["s9"]}
    finally:
        versions.traffic(TWIN, {newer: 0})


def test_twins_of_one_installation_share_nothing(served: Served, tmp_path: Path) -> None:
    first = find_deployment(TWIN).version  # type: ignore[union-attr]
    assert first is not None
    other = "other-twin"
    served.app.state.generation.speakers.find(TWIN, first, None).runtime.copy(first, f"{other}:latest")
    save_deployment(
        deployment(first).model_copy(update={"name": f"{other}:latest", "version": f"{other}:2026-11-20-aaaaaa"})
    )
    folder = tmp_path / "other"
    jsonl.write(
        folder / "data" / "raw_blogs.jsonl",
        [post.model_copy(update={"tags": ("clocks",)}) for post in jsonl.read(served.app.state.workspace.posts, Post)],
    )
    (folder / "pipeline_config.yaml").write_text("data: {instructions_file: mine.yaml}\n", encoding="utf-8")
    wordings = (defaults.HERE / "instructions.yaml").read_text("utf-8").replace("Write a blog post about", "Tell me of")
    (folder / "mine.yaml").write_text(wordings, encoding="utf-8")
    settle(served.app.state.database, other, folder)
    assert {one["name"] for one in served.client.get("/api/twins").json()["twins"]} == {TWIN, other}
    assert served.client.get("/api/suggestions", params={"twin": other}).json()["topics"] == ["clocks"]
    told = generated(served, twin=other, prompt="tides")
    assert told["version"] == f"{other}:2026-11-20-aaaaaa"
    row = served.client.post(f"/api/feedback/{told['request_id']}", json={"rating": 1}).json()
    assert (row["twin"], row["prompt"], row["subject"]) == (other, "Tell me of: tides", "other")
    assert served.client.get("/api/feedback/stats", params={"twin": other}).json()["total"] == 1
    refused = served.client.post("/api/generate", json={"prompt": "tides", "twin": other, "model": first})
    assert refused.status_code == 404


def test_what_cannot_be_asked_is_refused_with_what_can(served: Served) -> None:
    for wrong, status in (
        ({"prompt": ""}, 422),
        ({"prompt": "  "}, 400),
        ({"prompt": "tides", "options": 6}, 422),
        ({"prompt": "tides", "unknown": 1}, 422),
        ({"prompt": "tides", "twin": "../../etc"}, 404),
        ({"prompt": "tides", "style": {"length": 19_000}}, 400),
        ({"prompt": "tides", "model": "base", "style": {"voice": 0.5}}, 400),
        ({"prompt": "word " * 3000, "kind": "chat"}, 400),
    ):
        answer = served.client.post("/api/generate", json=wrong)
        assert answer.status_code == status, (wrong, answer.text)
        assert set(answer.json()) == {"error", "hint"}
        assert answer.json()["hint"]
    assert served.client.post("/api/feedback/nothing", json={"rating": 1}).status_code == 404
    assert served.client.post("/api/feedback/nothing", json={}).status_code == 422
    assert served.client.get("/api/nothing").json()["error"]


def test_feedback_is_counted_paged_and_exported(served: Served) -> None:
    ids = [generated(served)["request_id"] for _ in range(5)]
    for place, name in enumerate(ids):
        served.client.post(f"/api/feedback/{name}", json={"rating": 1 if place else -1, "comment": f"no. {place}"})
    stats = served.client.get("/api/feedback/stats", params={"twin": TWIN}).json()
    assert stats["total"] >= 5
    assert stats["low"] <= stats["like_rate"] <= stats["high"]
    seen, before = [], None
    while True:
        page = served.client.get(
            "/api/feedback", params={"limit": 2, "twin": TWIN} | ({"before": before} if before else {})
        ).json()
        seen += [row["id"] for row in page["rows"]]
        before = page["next"]
        if before is None:
            break
    assert len(seen) == len(set(seen)) == stats["total"]
    assert seen[:5] == ids[::-1]
    dislikes = served.client.get("/api/feedback", params={"rating": -1}).json()["rows"]
    assert ids[0] in {row["id"] for row in dislikes}
    assert {row["rating"] for row in dislikes} == {-1}
    lines = served.client.get("/api/feedback/export?format=jsonl").text.splitlines()
    assert {json.loads(line)["id"] for line in lines} >= set(ids)
    assert served.client.get("/api/feedback/export?format=json&limit=3").json()[2]["id"]
    assert served.client.get("/api/feedback/export?unexported=true").text == ""
    for form in ("openai", "gemini", "alpaca", "preference"):
        assert served.client.get("/api/feedback/export", params={"format": form}).status_code == 200
    assert served.client.get("/api/feedback?before=yesterday").status_code == 400


def test_a_draft_becomes_a_file(served: Served) -> None:
    import docx

    text = "# The tide\n\nSix o'clock, and *drizzle*."
    for form, begins in (("md", b"# The tide"), ("html", b"<!DOCTYPE html>"), ("docx", b"PK")):
        answer = served.client.post("/api/export", json={"text": text, "format": form})
        assert answer.content.startswith(begins)
        assert answer.headers["content-disposition"] == f'attachment; filename="the-tide.{form}"'
    assert docx.Document(io.BytesIO(answer.content)).paragraphs[0].text == "The tide"
    odd = served.client.post("/api/export", json={"text": "x", "title": '../"; rm\r\n-rf', "format": "md"})
    assert odd.headers["content-disposition"] == 'attachment; filename="rm-rf.md"'


def test_openai_clients_can_use_the_twin(served: Served) -> None:
    names = {one["id"] for one in served.client.get("/v1/models").json()["data"]}
    assert {TWIN, f"{TWIN}:base"} <= names
    asked: dict[str, Any] = {
        "model": TWIN,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What did you do today?"}],
        "temperature": 0,
        "max_tokens": 14,
    }
    whole = served.client.post("/v1/chat/completions", json=asked | {"n": 2}).json()
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    text, usage = whole["choices"][0]["message"]["content"], whole["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 10
    assert whole["choices"][0]["finish_reason"] == ("length" if usage["completion_tokens"] >= 28 else "stop")
    lines = [
        line.removeprefix("data: ")
        for line in served.client.post(
            "/v1/chat/completions", json=asked | {"stream": True, "stream_options": {"include_usage": True}}
        ).text.split("\n\n")
        if line
    ]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    streamed = "".join(choice["delta"].get("content", "") for one in chunks for choice in one["choices"])
    assert streamed == text
    assert chunks[-1]["usage"]["prompt_tokens"] == usage["prompt_tokens"]
    end = text[4:7]
    cut = served.client.post("/v1/chat/completions", json=asked | {"stop": end}).json()["choices"][0]
    assert cut["message"]["content"] == text[: text.index(end)]
    assert cut["finish_reason"] == "stop"
    base = served.client.post("/v1/chat/completions", json=asked | {"model": f"{TWIN}:base"}).json()
    assert base["choices"][0]["message"]["content"] != text
    wrong = served.client.post("/v1/chat/completions", json=asked | {"model": "gpt-4"})
    assert wrong.status_code == 404
    assert "gpt-4" in wrong.json()["error"]["message"]


def test_health_training_data_and_reload(served: Served) -> None:
    told = served.client.get("/health").json()
    assert (told["status"], told["database"]["ok"], told["runtime"]["ok"]) == ("ok", True, True)
    assert served.client.get("/api/training-data").json()["minimum"] == 20
    assert find_deployment(TWIN).version in served.client.post("/api/reload").json()["models"]  # type: ignore[union-attr]
    assert generated(served, model="base")["text"]  # the base is put into service again


def test_the_schema_has_an_example_of_everything_that_can_be_sent(served: Served) -> None:
    schema = served.client.get("/openapi.json").json()
    sent = set()
    for path in schema["paths"].values():
        for operation in path.values():
            assert operation.get("description") or operation.get("summary")
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in body:
                sent.add(body["$ref"].rpartition("/")[2])
    assert sent
    for name in sent:
        assert schema["components"]["schemas"][name].get("examples"), name
