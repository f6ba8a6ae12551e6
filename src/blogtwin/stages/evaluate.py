"""evaluate: a deployed twin and held-out examples → eval_report.json, and the same as a page.

Reads validation.jsonl, training_data.jsonl, the adapter that the twin was deployed from and its base; asks twin, base and the
base shown real posts (side_by_side.py), and measures what they say (measuring.py). A run that was killed has its answers in the
user's home, and goes on.
"""

from __future__ import annotations

from dataclasses import asdict

from blogtwin import atomic
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import Settings
from blogtwin.errors import RuntimeUnavailable
from blogtwin.evaluation.pieces import Pieces
from blogtwin.evaluation.report import Judged, Report, figures
from blogtwin.evaluation.report_html import report_html
from blogtwin.manifest import Plan
from blogtwin.privacy import stand_ins
from blogtwin.progress import Progress
from blogtwin.runtimes.base import with_system
from blogtwin.stages import held_out, served_twin
from blogtwin.stages.few_shot import Shown, shown
from blogtwin.stages.findings import Findings, report
from blogtwin.stages.held_out import Material, Question
from blogtwin.stages.imposters import others
from blogtwin.stages.judging import judge
from blogtwin.stages.losses import losses
from blogtwin.stages.quiz import choices_file
from blogtwin.stages.result import StageResult
from blogtwin.stages.served_twin import Served
from blogtwin.stages.side_by_side import Answered, side_by_side
from blogtwin.workspace import Workspace, find_deployment, manifest_beside

_NOT_MEASURED_WITH = ("run_after_training", "test_prompts_file", "concurrency")  # the prompts' file is an input


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What an evaluation reads and writes. It is stale when another twin stands behind the name."""
    twin = find_deployment(settings.deployment.model_name)
    others = settings.evaluation.others
    # Of its record: all but places, times and proofs.
    record = twin and twin.model_dump(exclude={"artifact": {"gguf", "lora"}, "parity": True, "deployed_at": True})
    files = (
        settings.evaluation.test_prompts_file,
        stand_ins.file_beside(workspace.training_data),
        choices_file(workspace),
    )
    return Plan(
        stage="evaluate",
        settings={
            **{key: value for key, value in asdict(settings.evaluation).items() if key not in _NOT_MEASURED_WITH},
            "model": settings.deployment.model_name,
            "twin": record,
            "endpoint": settings.deployment.openai_base_url if settings.deployment.runtime == "openai" else None,
        },
        inputs=(
            workspace.validation,
            workspace.training_data,
            *(path for path in files if path.is_file()),
            *((others,) if others else ()),
        ),
        outputs=(workspace.report, workspace.report.with_suffix(".html")),
        manifest=manifest_beside(workspace.report),
    )


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Measure the twin called `settings.deployment.model_name`, and write the report.

    Raises InputError (no such twin, a file that is missing or broken), NothingUsable (no held-out example),
    ModelError, RuntimeUnavailable and OutputError.
    """
    todo = plan(settings, workspace)
    served = served_twin.find(settings)
    material = held_out.read(workspace)
    asked = held_out.questions(material.held_out, settings.evaluation)
    imposters = others(settings.evaluation.others, settings, progress) if settings.evaluation.others else {}
    behind = _shown(settings, served, material, asked)
    a_title = held_out.answers_a_title(asked, settings.evaluation)
    answered = side_by_side(settings, served, asked, behind, progress, a_title)
    opinion, silence = _opinion(settings, served, material, asked, answered, progress)
    found = report(
        Findings(
            settings=settings,
            workspace=workspace,
            served=served,
            material=material,
            asked=asked,
            shown=behind,
            answered=answered,
            losses=losses(settings, served, material, progress),
            imposters=imposters,
            opinion=opinion,
            remarks=silence,
        ),
        progress,
    )
    atomic.write_text(workspace.report, found.model_dump_json(indent=2) + "\n")
    atomic.write_text(workspace.report.with_suffix(".html"), report_html(found))
    counts = figures(found)
    todo.finish(counts)
    return StageResult("evaluate", counts, todo.outputs, _notes(found))


def _shown(settings: Settings, served: Served, material: Material, asked: list[Question]) -> list[Shown]:
    """For each held-out title the posts that the base is shown; nothing where none had room."""
    evaluation, artifact = settings.evaluation, served.twin.artifact
    titles = [question.prompt for question in held_out.titles(asked)]
    if not titles or not evaluation.few_shot_posts:
        return []
    template, pieces = TEMPLATES[served.card.template], Pieces(served.tokenizer)
    room = max(artifact.context_length - evaluation.max_tokens, artifact.context_length // 2)
    found = shown(
        titles,
        material.training,
        evaluation.few_shot_posts,
        evaluation.few_shot_words,
        [room] * len(titles),
        lambda messages: len(pieces.tokens(template.prompt(with_system(messages, artifact.system)))),
    )
    return found if any(one.turns for one in found) else []


def _opinion(
    settings: Settings,
    served: Served,
    material: Material,
    asked: list[Question],
    answered: Answered,
    progress: Progress,
) -> tuple[Judged | None, tuple[str, ...]]:
    """The judge's, where one is wanted; a judge that fails costs its opinion and nothing else."""
    name = settings.evaluation.judge
    if name is None:
        return None, ()
    try:
        return judge(name, served.beside, asked, answered.sides(), material.training[0].text, progress), ()
    except RuntimeUnavailable as fault:
        return None, (f"{name} gave no opinion: {fault.message}",)


def _notes(found: Report) -> tuple[str, ...]:
    return (found.verdict.sentence, *found.remarks)
