"""evaluate: a deployed twin and held-out examples → eval_report.json.

Reads validation.jsonl, training_data.jsonl, the adapter that the twin was deployed from and its base; asks twin and base
through the runtime that serves the twin (side_by_side.py). A run that was killed has its answers in a hidden file beside
the report, and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from blogtwin import atomic
from blogtwin.adapter_folder import find_base, read_card
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import Settings
from blogtwin.errors import InputError, NothingUsable
from blogtwin.evaluation import report as report_room
from blogtwin.evaluation.overlap import average_bleu, average_rouge_l
from blogtwin.evaluation.perplexity import HeldOut, Losses, answer_losses
from blogtwin.evaluation.privacy import leaks
from blogtwin.evaluation.report import Counts, PostLoss, Report, Sample, clipped
from blogtwin.evaluation.voice import voice_score
from blogtwin.evaluation.words import cut, words
from blogtwin.manifest import Plan
from blogtwin.privacy import stand_ins
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Deployment, Example, Sampling
from blogtwin.safetensors_file import check_safetensors
from blogtwin.stages.answers import seed_of
from blogtwin.stages.result import StageResult
from blogtwin.stages.side_by_side import Question, questions, side_by_side
from blogtwin.training import examples as training_examples
from blogtwin.training.hardware import detect_hardware_platform
from blogtwin.training.precision import Precision
from blogtwin.training.rows import tokenized
from blogtwin.training.tokenizer import load as load_tokenizer
from blogtwin.workspace import Workspace, deployment, find_deployment, manifest_beside

_EXCERPT = 300  # words of the author's own post that are shown beside the answers


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What an evaluation reads and writes. It is stale when another twin stands behind the name."""
    twin = find_deployment(settings.deployment.model_name)
    prompts = settings.evaluation.test_prompts_file
    private = stand_ins.file_beside(workspace.training_data)
    evaluation = asdict(settings.evaluation)
    return Plan(
        stage="evaluate",
        settings={
            **{key: evaluation[key] for key in ("samples", "max_tokens", "perplexity_examples", "seed")},
            "model": settings.deployment.model_name,
            "twin": twin.model_dump(exclude={"artifact": {"gguf"}}) if twin else None,
        },
        inputs=(
            workspace.validation,
            workspace.training_data,
            *(path for path in (prompts, private) if path.is_file()),
        ),
        outputs=(workspace.report,),
        manifest=manifest_beside(workspace.report),
    )


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Measure the twin called `settings.deployment.model_name`, and write the report.

    Raises InputError (no such twin, a file that is missing or broken), NothingUsable (no held-out example),
    ModelError, RuntimeUnavailable and OutputError.
    """
    todo = plan(settings, workspace)
    twin = deployment(settings.deployment.model_name)
    card = read_card(Path(twin.adapter))
    held_out, training = _examples(workspace)
    private = stand_ins.read(stand_ins.file_beside(workspace.training_data))
    asked = questions(held_out, settings)
    base_answers, twin_answers, sampling = side_by_side(settings, workspace, twin, card, asked, progress)
    losses, shortened, left_out = _losses(settings, twin, card, held_out, progress)
    report = _report(
        twin,
        card,
        settings,
        training,
        private,
        asked,
        base_answers,
        twin_answers,
        sampling,
        losses,
        shortened,
        left_out,
    )
    atomic.write_text(workspace.report, report.model_dump_json(indent=2) + "\n")
    counts = report_room.figures(report)
    todo.finish(counts)
    return StageResult("evaluate", counts, todo.outputs, _notes(report))


def _examples(workspace: Workspace) -> tuple[list[Example], list[str]]:
    """The held-out examples, and the author's training posts."""
    held_out = training_examples.read(workspace.validation)
    if not held_out:
        raise NothingUsable(
            f"{workspace.validation} holds no example to measure the twin on",
            "hold out more posts: blogtwin prepare-dataset --split 0.8, or name another file with --test-set",
        )
    if not workspace.training_data.is_file():
        raise InputError(
            f"{workspace.training_data} is not there: the author's voice is known from the posts in it",
            "put it beside the test set, or make both again with: blogtwin prepare-dataset",
        )
    held = {example.post_id for example in held_out}
    training = [one for one in training_examples.read(workspace.training_data) if one.post_id not in held]
    if not training:
        raise NothingUsable(
            f"{workspace.training_data} holds no post that is not in {workspace.validation} as well",
            "make both again with: blogtwin prepare-dataset",
        )
    return held_out, _posts(training)


def _posts(examples: Sequence[Example]) -> list[str]:
    """Each post once, though its text stands in several examples: the answers that are no part of a longer one."""
    by_post: dict[str, list[str]] = {}
    for example in examples:
        by_post.setdefault(example.post_id, []).append(example.output)
    return ["\n\n".join(_whole(outputs)) for outputs in by_post.values()]


def _whole(outputs: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for output in sorted(outputs, key=lambda text: (-len(text), text)):
        if not any(output in longer for longer in kept):
            kept.append(output)
    return kept


def _losses(
    settings: Settings, twin: Deployment, card: AdapterCard, held_out: Sequence[Example], progress: Progress
) -> tuple[Losses, int, int]:
    """Losses of base and twin, and how many answers were shortened and how many examples left out."""
    adapter = Path(twin.adapter)
    base = find_base(adapter, card, settings.machine.offline, progress)
    tokenizer = load_tokenizer(adapter)
    answers: list[HeldOut] = []
    shortened = left_out = 0
    for example in _spread(held_out, settings.evaluation.perplexity_examples):
        # One at a time, so that each row is known to be this example's; cut as the training was.
        rows = tokenized([example], tokenizer, TEMPLATES[card.template], card.system, card.max_length)
        shortened, left_out = shortened + rows.cut, left_out + rows.left_out
        for row in rows.rows:
            text = tokenizer.decode(row.tokens[row.prompt :], skip_special_tokens=True)
            answers.append(HeldOut(example.post_id, row.tokens, row.prompt, len(words(text))))
    if not answers:
        raise NothingUsable(
            f"no held-out example fits into the {card.max_length} tokens that the twin was trained with",
            "train with a larger training.max_length, or shorten the instructions",
        )
    parameters = sum(check_safetensors(path) for path in sorted(base.glob("*.safetensors")))
    bf16 = Precision.choose(parameters, detect_hardware_platform()).bf16
    return answer_losses(base, adapter, answers, bf16, settings.machine.threads, progress), shortened, left_out


def _spread(examples: Sequence[Example], most: int) -> list[Example]:
    """At most `most` examples, from as many posts as can be: the first of each post, then the second, and so on."""
    seen: dict[str, int] = {}
    ranked = []
    for place, example in enumerate(examples):
        seen[example.post_id] = seen.get(example.post_id, 0) + 1
        ranked.append((seen[example.post_id], place))
    return [examples[place] for _, place in sorted(ranked)[:most]]


def _report(
    twin: Deployment,
    card: AdapterCard,
    settings: Settings,
    training: Sequence[str],
    private: stand_ins.StandIns,
    asked: Sequence[Question],
    base_answers: Sequence[str],
    twin_answers: Sequence[str],
    sampling: Sampling,
    losses: Losses,
    shortened: int,
    left_out: int,
) -> Report:
    own = [place for place, question in enumerate(asked) if question.post is not None]
    posts = [asked[place].post or "" for place in own]
    base, mine = [base_answers[place] for place in own], [twin_answers[place] for place in own]
    voice = voice_score(training, posts, base, mine, settings.evaluation.seed)
    by_post = _by_post(losses)
    return Report(
        model=twin.name,
        base_model=card.base_model,
        runtime=twin.runtime,
        quantization=twin.artifact.quantization,
        **losses.perplexities(),
        style_similarity_score=clipped(voice.score),
        voice=voice,
        average_bleu=average_bleu(mine, posts),
        average_bleu_base=average_bleu(base, posts),
        rouge_l=average_rouge_l(mine, posts),
        rouge_l_base=average_rouge_l(base, posts),
        privacy=leaks(twin_answers, private),
        counts=Counts(
            examples=len(losses.answers),
            posts=len(by_post),
            answer_tokens=sum(answer.counted for answer in losses.answers),
            answer_words=sum(answer.words for answer in losses.answers),
            cut=shortened,
            left_out=left_out,
            prompts=len(asked),
            held_out_titles=len(own),
            training_posts=len(training),
        ),
        seed=settings.evaluation.seed,
        sampling=sampling,
        losses=by_post,
        sample_comparisons=tuple(
            Sample(
                prompt=question.prompt,
                origin="test prompt" if question.post is None else "held-out title",
                seed=seed_of(question.prompt, sampling),
                base=from_base,
                twin=from_twin,
                author=None if question.post is None else cut(question.post, _EXCERPT),
            )
            for question, from_base, from_twin in zip(asked, base_answers, twin_answers, strict=True)
        ),
    )


def _by_post(losses: Losses) -> tuple[PostLoss, ...]:
    found: dict[str, list[PostLoss]] = {}
    for answer, base, twin in zip(losses.answers, losses.base, losses.twin, strict=True):
        one = PostLoss(post_id=answer.post_id, base=base, twin=twin, tokens=answer.counted, words=answer.words)
        found.setdefault(answer.post_id, []).append(one)
    return tuple(
        PostLoss(
            post_id=post_id,
            base=sum(one.base for one in parts),
            twin=sum(one.twin for one in parts),
            tokens=sum(one.tokens for one in parts),
            words=sum(one.words for one in parts),
        )
        for post_id, parts in sorted(found.items())
    )


def _notes(report: Report) -> tuple[str, ...]:
    out = list(report.voice.remarks)
    if 0 < report.counts.held_out_titles < 8:
        out.append(
            f"the voice is judged on {report.counts.held_out_titles} held-out posts: see its interval before the figure"
        )
    if report.privacy.originals:
        said = ", ".join(report.privacy.hints)
        out.append(f"the twin says private things that were replaced before training, known from elsewhere: {said}")
    if report.privacy.unknown:
        what = ", ".join(f"{many} × {kind}" for kind, many in report.privacy.unknown.items())
        out.append(f"the twin wrote what looks private and is no stand-in ({what}): see sample_comparisons")
    if report.perplexity >= report.perplexity_base:
        out.append("the twin predicts the held-out posts no better than its base: more posts or epochs are needed")
    return tuple(out)
