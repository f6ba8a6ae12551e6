"""From what was asked and measured to the Report: the sides beside each other, the verdict, and where the twin comes from.

In: Findings. Out: a Report. Everything slow that needs a model has been done; this takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from blogtwin import __version__
from blogtwin.config import Settings
from blogtwin.evaluation.perplexity import Losses
from blogtwin.evaluation.report import (
    Counts,
    FewShot,
    Judged,
    KindPerplexity,
    Lineage,
    Measures,
    Parity,
    PostLoss,
    Report,
    Sample,
    clipped,
)
from blogtwin.evaluation.style_diff import style_diff
from blogtwin.evaluation.unlike import unlike
from blogtwin.evaluation.verdict import Paired, Side, Verdict, Voices, against, verdict
from blogtwin.evaluation.voice import Voice, voice_score
from blogtwin.evaluation.voice_pairs import loss_pairs, voice_pairs
from blogtwin.evaluation.words import cut
from blogtwin.privacy import stand_ins
from blogtwin.progress import Progress
from blogtwin.stages import held_out, quiz, versions
from blogtwin.stages.answers import seed_of
from blogtwin.stages.authorship import authorship_test
from blogtwin.stages.few_shot import Shown
from blogtwin.stages.held_out import Material, Question
from blogtwin.stages.losses import Measured
from blogtwin.stages.measuring import measure
from blogtwin.stages.served_twin import Served
from blogtwin.stages.side_by_side import Answered
from blogtwin.workspace import Workspace, deployments

_EXCERPT = 300  # words of the author's own post that are shown beside the answers
_FEW = 8  # held-out posts, below which the interval is the figure


@dataclass(frozen=True)
class Findings:
    """What one evaluation gathered."""

    settings: Settings
    workspace: Workspace
    served: Served
    material: Material
    asked: Sequence[Question]
    shown: Sequence[Shown]
    answered: Answered
    losses: Measured
    imposters: Mapping[str, Sequence[str]]
    opinion: Judged | None
    remarks: tuple[str, ...] = ()

    @property
    def titles(self) -> int:
        """How many questions, the first ones, are held-out titles."""
        return len(held_out.titles(self.asked))

    @property
    def posts(self) -> list[str]:
        """The author's own posts under these titles."""
        return held_out.posts(self.asked)

    def of_titles(self, side: Side) -> list[str]:
        """A side's answers to them."""
        return list(self.answered.sides()[side][: self.titles])


def report(found: Findings, progress: Progress) -> Report:
    """Everything in eval_report.json, and nothing that depends on the clock: the same twin gives the same bytes."""
    served, losses, seed = found.served, found.losses.losses, found.settings.evaluation.seed
    private = stand_ins.read(stand_ins.file_beside(found.workspace.training_data))
    sides, author = measure(found.answered.sides(), found.asked, found.material, private, seed, progress)
    with progress.task("Comparing voices"):
        voices: dict[Side, Voice] = {side: _voice(found, side) for side in sides if side != "base"}
        test, why_no_test = authorship_test(
            found.material.posts,
            found.posts,
            {side: found.of_titles(side) for side in sides},
            found.answered.base,
            found.imposters,
            seed,
        )
        told = _verdict(found, voices, sides)
        prompts = [question.prompt for question in found.asked]
        difference = style_diff(found.answered.twin, [*found.material.posts, *found.posts], found.posts, prompts)
        strange = unlike(prompts, found.answered.twin, found.answered.base, found.material.posts)
    twin, base, perplexities = sides["twin"], sides["base"], (losses.perplexities() if losses else {})
    return Report(
        verdict=told,
        model=served.twin.name,
        base_model=served.card.base_model,
        runtime=served.runtime.name,
        quantization=served.twin.artifact.quantization,
        style_similarity_score=clipped(voices["twin"].score),
        voice=voices["twin"],
        voice_few_shot=voices.get("few-shot"),
        authorship=test,
        **{f"perplexity{name}": perplexities.get(f"perplexity{name}") for name in _PERPLEXITIES},
        perplexity_by_kind={kind: _of_kind(part) for kind, part in (losses.of_kinds() if losses else {}).items()},
        average_bleu=twin.overlap.bleu if twin.overlap else 0.0,
        average_bleu_base=base.overlap.bleu if base.overlap else 0.0,
        rouge_l=twin.overlap.rouge_l if twin.overlap else 0.0,
        rouge_l_base=base.overlap.rouge_l if base.overlap else 0.0,
        twin=twin,
        base=base,
        few_shot=sides.get("few-shot"),
        few_shot_prompt=_few_shot(found),
        author_diversity=author,
        style_diff=difference,
        unlike=tuple(strange),
        parity=_parity(served),
        quiz=quiz.summary(quiz.choices_file(found.workspace), versions.content(served.twin.artifact)),
        judge=found.opinion,
        lineage=_lineage(served),
        counts=_counts(found),
        seed=seed,
        sampling=found.answered.sampling,
        losses=by_post(losses),
        sample_comparisons=_samples(found),
        remarks=tuple(_remarks(found, voices, sides, why_no_test)),
    )


_PERPLEXITIES = ("", "_base", "_few_shot", "_per_word", "_per_word_base", "_per_word_few_shot")


def _voice(found: Findings, side: Side) -> Voice:
    seed = found.settings.evaluation.seed
    said = found.answered.to_titles
    return voice_score(found.material.posts, found.posts, said["base"], said[side], seed)


def _verdict(found: Findings, voices: Mapping[Side, Voice], sides: Mapping[Side, Measures]) -> Verdict:
    """By voice and perplexity; the base's own voice is 0 by definition, so that a side's score is its distance to it."""
    seed, few = found.settings.evaluation.seed, voices.get("few-shot")
    said = found.answered.to_titles
    answers: dict[str, list[str]] = {side: said[side] for side in voices}
    pairs = list(voice_pairs(found.material.posts, found.posts, said["base"], answers, seed))
    for side, voice in voices.items():
        if voice.score is not None:
            above = {"difference": voice.score, "low": voice.low, "high": voice.high, "p": None}
            pairs.append(Paired(measure="voice", first=side, second="base", prompts=voice.prompts, **above))
    posts = by_post(found.losses.losses)
    nats = {"twin": [one.twin for one in posts], "base": [one.base for one in posts]}
    if _mostly_behind_posts(found.losses.losses):
        nats["few-shot"] = [one.few_shot or 0.0 for one in posts]
    pairs += loss_pairs(nats, [one.words for one in posts], seed)
    twin = voices["twin"]
    return verdict(
        Voices(twin.score, (twin.low, twin.high), few.score if few else None),
        {side: against(one.answers, one.copying, one.relevance, one.faults) for side, one in sides.items()},
        pairs,
    )


def _mostly_behind_posts(losses: Losses | None) -> bool:
    """Whether there is anything to the few-shot base's losses: where no post had room they are the base's."""
    if losses is None or losses.few_shot is None:
        return False
    return 2 * sum(answer.shown is not None for answer in losses.answers) > len(losses.answers)


def _of_kind(losses: Losses) -> KindPerplexity:
    told = losses.perplexities()
    return KindPerplexity(
        examples=len(losses.answers),
        base=told["perplexity_base"],
        twin=told["perplexity"],
        few_shot=told.get("perplexity_few_shot"),
        base_per_word=told["perplexity_per_word_base"],
        twin_per_word=told["perplexity_per_word"],
        few_shot_per_word=told.get("perplexity_per_word_few_shot"),
    )


def by_post(losses: Losses | None) -> tuple[PostLoss, ...]:
    """The losses added up by held-out post, in the order of their ids."""
    if losses is None:
        return ()
    places: dict[str, list[int]] = {}
    for place, answer in enumerate(losses.answers):
        places.setdefault(answer.post_id, []).append(place)
    return tuple(
        PostLoss(
            post_id=post_id,
            base=sum(losses.base[place] for place in of),
            twin=sum(losses.twin[place] for place in of),
            few_shot=sum(losses.few_shot[place] for place in of) if losses.few_shot else None,
            tokens=sum(losses.answers[place].counted for place in of),
            words=sum(losses.answers[place].words for place in of),
        )
        for post_id, of in sorted(places.items())
    )


def _few_shot(found: Findings) -> FewShot | None:
    evaluation = found.settings.evaluation
    if not found.shown:
        return None
    without = sum(not one.turns for one in found.shown)
    return FewShot(posts=evaluation.few_shot_posts, words=evaluation.few_shot_words, left_out=without)


def _parity(served: Served) -> Parity | None:
    """What the deploy found."""
    found = served.twin.parity
    if found is None:
        return None
    return Parity(
        prompts=found.prompts,
        tokens=found.tokens,
        agreement=found.agreement,
        near_ties=found.near_ties,
        excess_nats=found.excess_nats,
        voice_difference=found.voice.standard_errors if found.voice else None,
    )


def _lineage(served: Served) -> Lineage:
    twin, card = served.twin, served.card
    dated = next((one for one in deployments() if one.name == twin.version), twin)
    return Lineage(
        version=twin.version,
        deployed_at=dated.deployed_at.isoformat() if dated.deployed_at else None,
        model_hash=twin.artifact.weights(),
        adapter_hash=twin.adapter_sha256,
        data_hash=card.data_hash,
        base_model=card.base_model,
        base_revision=card.base_revision,
        base_hash=card.base_hash,
        quantization=twin.artifact.quantization,
        method=card.method,
        training_settings_hash=card.settings_hash,
        training_settings=card.settings,
        trained_on=card.examples,
        parent=card.parent,
        template=card.template,
        context_tokens=twin.artifact.context_length,
        blogtwin=__version__,
    )


def _counts(found: Findings) -> Counts:
    answers = found.losses.losses.answers if found.losses.losses else ()
    return Counts(
        examples=len(answers),
        posts=len({answer.post_id for answer in answers}),
        answer_tokens=sum(answer.counted for answer in answers),
        answer_words=sum(answer.words for answer in answers),
        cut=found.losses.cut,
        left_out=found.losses.left_out,
        prompts=len(found.asked),
        held_out_titles=found.titles,
        answers_a_title=found.answered.a_title,
        training_posts=len(found.material.training),
    )


def _samples(found: Findings) -> tuple[Sample, ...]:
    answered, few = found.answered, len(found.answered.few_shot)
    return tuple(
        Sample(
            prompt=question.prompt,
            origin="test prompt" if question.post is None else "held-out title",
            seed=seed_of(question.prompt, answered.sampling),
            base=answered.base[number],
            twin=answered.twin[number],
            author=None if question.post is None else cut(question.post, _EXCERPT),
            few_shot=answered.few_shot[number] if number < few else None,
            shown=found.shown[number].titles if number < few else (),
            post_id=question.post_id,
        )
        for number, question in enumerate(found.asked)
    )


def _remarks(
    found: Findings, voices: Mapping[Side, Voice], sides: Mapping[Side, Measures], why_no_test: str
) -> list[str]:
    """What a reader of the figures should know beside them."""
    out = [*voices["twin"].remarks, *found.losses.remarks, *found.remarks, *filter(None, (why_no_test,))]
    if 0 < found.titles < _FEW:
        out.append(f"the voice is judged on {found.titles} held-out posts: see its interval before the figure")
    if found.settings.evaluation.few_shot_posts and found.titles and not found.shown:
        out.append("the base was not shown posts: the context has no room for them beside an answer")
    twin = sides["twin"]
    out += chain(twin.length.remarks if twin.length else (), twin.languages.reasons, twin.copying.reasons)
    if twin.privacy.originals:
        said = ", ".join(twin.privacy.hints)
        out.append(f"the twin says private things that were replaced before training, known from elsewhere: {said}")
    if twin.privacy.unknown:
        what = ", ".join(f"{many} × {kind}" for kind, many in twin.privacy.unknown.items())
        out.append(f"the twin wrote what looks private and is no stand-in ({what}): see sample_comparisons")
    losses = found.losses.losses
    if losses and sum(losses.twin) >= sum(losses.base):
        out.append("the twin predicts the held-out posts no better than its base: more posts or epochs are needed")
    return list(dict.fromkeys(out))
