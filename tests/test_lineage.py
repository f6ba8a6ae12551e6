"""What a version saw: the posts behind its training examples, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from blogtwin import jsonl
from blogtwin.config import Settings
from blogtwin.manifest import Plan
from blogtwin.progress import Silent
from blogtwin.records import Example, Message
from blogtwin.service_records import Draft, Feedback
from blogtwin.stages import lineage, preferences
from blogtwin.workspace import Workspace


def _approved(number: int) -> Feedback:
    now, text = datetime.now(UTC), f"The harbour at {number} was empty, and I stayed until the lamps were lit. " * 3
    draft = Draft(version="my-twin:a", text=text)
    above = (Message(role="user", content="Who are you?"), Message(role="assistant", content="I write."))
    return Feedback(
        id=str(number),
        twin="blogging-twin",
        kind="write",
        subject="",
        prompt=f"Write about the harbour, number {number * 37}.",
        before=above if number % 2 else (),
        drafts=(draft,),
        response=text,
        version=draft.version,
        approved=True,
        created_at=now,
        judged_at=now,
    )


def test_a_text_that_readers_approved_is_no_post_that_a_version_saw(tmp_path: Path) -> None:
    here = Workspace.here(Settings())
    here = replace(here, posts=tmp_path / here.posts, training_data=tmp_path / here.training_data)
    jsonl.write(
        here.training_data,
        [Example(id="e", post_id="1" * 16, kind="topic", instruction="Write.", input="", output="Text.")],
    )
    preferences.run(Settings(), here, Silent(), map(_approved, range(6)))
    approved = preferences.approved_beside(preferences.file_beside(here.training_data))
    assert len(list(jsonl.read(approved, Example))) >= 4
    adapter = tmp_path / "adapter"
    Plan("finetune", {}, (here.training_data, approved), (), adapter / "manifest.json").finish({})
    seen, remark = lineage.posts_seen(adapter, here)
    assert ([post.post_id for post in seen], remark) == (["1" * 16], "")
