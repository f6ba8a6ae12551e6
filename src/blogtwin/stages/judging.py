"""A local model's opinion of answers, where the user has named one. In: a runtime, answers. Out: a Judged, never a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blogtwin.errors import InputError
from blogtwin.evaluation.judge import Preferred, pairing, preferred, scores, scoring
from blogtwin.evaluation.report import Judged
from blogtwin.evaluation.verdict import Side
from blogtwin.progress import Progress, Task
from blogtwin.records import Message, Sampling
from blogtwin.runtimes.base import Runtime
from blogtwin.stages.held_out import Question

_REPLY = 120  # tokens


def judge(
    name: str,
    runtime: Runtime,
    asked: Sequence[Question],
    sides: Mapping[Side, Sequence[str]],
    sample: str,
    progress: Progress,
) -> Judged:
    """Scores of each side, and the twin beside each other one, over the held-out titles.

    sample: a post of the author's. Raises InputError when the runtime has no such model, RuntimeUnavailable when it fails.
    """
    names = runtime.names()
    called = next((one for one in (name, f"{name}:latest") if one in names), None)
    if called is None:
        raise InputError(
            f"{runtime.name} has no model named {name} to judge (it has: {', '.join(names) or 'none'})",
            "name another as evaluation.judge, or leave it empty",
        )
    titles = [number for number, question in enumerate(asked) if question.post is not None]
    others: list[Side] = [side for side in sides if side != "twin"]

    def ask(messages: Sequence[Message], task: Task) -> str:
        reply = "".join(runtime.chat(called, messages, Sampling.greedy(_REPLY)))
        task.advance()
        return reply

    with progress.task(f"{called} judges", len(titles) * (len(sides) + 2 * len(others)), "replies") as task:
        scored = {
            side: scores([ask(scoring(asked[number].prompt, said[number], sample), task) for number in titles])
            for side, said in sides.items()
        }
        won: dict[Side, Preferred] = {}
        for other in others:
            pairs = (
                pairing(asked[number].prompt, sides["twin"][number], sides[other][number], sample) for number in titles
            )
            won[other] = preferred([(ask(straight, task), ask(swapped, task)) for straight, swapped in pairs])
    return Judged(model=called, scores=scored, over_base=won.get("base"), over_few_shot=won.get("few-shot"))
