"""Prepare: posts → training and validation examples.

In: raw_blogs.jsonl. Out: training_data.jsonl, validation.jsonl, then their manifest.

Every post that is left out is listed with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from blogtwin import jsonl
from blogtwin.cleaning.clean import clean
from blogtwin.config import Settings
from blogtwin.dataset import prompts
from blogtwin.dataset.dedupe import duplicates, likenesses
from blogtwin.dataset.examples import Room, examples
from blogtwin.dataset.prose import prose_words
from blogtwin.dataset.split import held_out
from blogtwin.errors import NothingUsable
from blogtwin.manifest import Plan, hash_file
from blogtwin.progress import Progress
from blogtwin.records import Example, ExampleKind, Post
from blogtwin.stages.result import Problem, StageResult
from blogtwin.words import count_words, shingles
from blogtwin.workspace import Workspace, manifest_beside

# Posts that share this much stand on one side of the split, even where they are different enough to be kept both: a
# sequel that quotes its first part, a yearly list. Unrelated posts of one author share under 0.02.
_ALIKE = 0.3
_KINDS: tuple[ExampleKind, ...] = ("topic", "outline", "continuation", "section")


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What a preparation would read and write."""
    data = settings.data
    wordings = prompts.file(data)
    return Plan(
        stage="prepare",
        settings={
            "drafts": data.drafts,
            "min_words": data.min_words,
            "near_duplicate": data.near_duplicate,
            "split": data.split,
            "seed": data.seed,
            "max_length": settings.training.max_length,
            "system_prompt": settings.training.system_prompt,
            "instructions": hash_file(wordings),
        },
        inputs=(workspace.posts,),
        outputs=(workspace.training_data, workspace.validation),
        manifest=manifest_beside(workspace.training_data),
    )


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Clean, deduplicate, make examples, split by post.

    Raises InputError and BrokenRecord for posts that cannot be read, ConfigError for wordings that cannot be used, and
    NothingUsable when fewer than two posts are left.
    """
    wordings = prompts.load(prompts.file(settings.data))
    plan_ = plan(settings, workspace)
    posts = sorted(jsonl.read(workspace.posts, Post), key=lambda post: (post.path, post.id))
    with progress.task("Preparing examples", len(posts), "posts") as task:
        kept, dropped = _cleaned(posts, settings)
        task.advance(len(posts) / 2)
        kept, alike, copies = _deduplicated(kept, settings)
        made, unusable, problems = _examples(kept, settings, wordings)
        dropped += copies + unusable
        task.advance(len(posts) / 2)
    _require_some(posts, made, dropped, settings)
    usable = [post for post in kept if post.id in made]
    place = {post.id: number for number, post in enumerate(usable)}
    pairs = [(place[one], place[other]) for one, other in alike if one in place and other in place]
    validation_ids = held_out(usable, pairs, settings.data.split, settings.data.seed)
    train = [example for post in usable if post.id not in validation_ids for example in made[post.id]]
    validation = [example for post in usable if post.id in validation_ids for example in made[post.id]]
    jsonl.write(workspace.training_data, train)
    jsonl.write(workspace.validation, validation)
    counts = _counts(posts, usable, dropped, validation_ids, train, validation)
    plan_.finish(counts)
    problems = [Problem(post.path, reason) for post, _, reason in dropped] + problems
    return StageResult("prepare", counts, (workspace.training_data, workspace.validation), problems=tuple(problems))


Dropped = list[tuple[Post, str, str]]  # the post, the kind of reason, the reason


def _cleaned(posts: Sequence[Post], settings: Settings) -> tuple[list[Post], Dropped]:
    kept: list[Post] = []
    dropped: Dropped = []
    for post in posts:
        if post.draft and not settings.data.drafts:
            dropped.append((post, "draft", "is a draft; `data.drafts: true` takes drafts in"))
            continue
        text = clean(post.text, post.format).text
        count = prose_words(text)
        if not text:
            dropped.append((post, "empty", "has no text of its own"))
        elif count < settings.data.min_words:
            least = settings.data.min_words
            dropped.append((post, "too short", f"has {count} words outside code; at least {least} are wanted"))
        else:
            kept.append(post.model_copy(update={"text": text, "word_count": count_words(text)}))
    return kept, dropped


def _deduplicated(posts: list[Post], settings: Settings) -> tuple[list[Post], list[tuple[str, str]], Dropped]:
    """The posts that stay, the pairs of ids of them that are alike, and what was left out."""
    threshold = settings.data.near_duplicate
    pairs = likenesses([shingles(post.text) for post in posts], min(_ALIKE, threshold))
    dropped: Dropped = []
    gone: dict[int, int] = {}
    for copy in duplicates(posts, pairs, threshold):
        post, other = posts[copy.place], posts[copy.of]
        gone[copy.place] = copy.of
        if copy.likeness == 1.0:
            dropped.append((post, "exact duplicate", f"is the same text as {other.path}; {copy.why}"))
        else:
            share = f"shares {copy.likeness:.0%} of its word sequences with {other.path}"
            dropped.append((post, "near duplicate", f"{share}; {copy.why}"))
    kept = [post for place, post in enumerate(posts) if place not in gone]
    # What was like a copy that is gone is still like it: keep the tie through the post that stands for it.
    alike = [(posts[gone.get(one, one)].id, posts[gone.get(other, other)].id) for one, other in pairs]
    return kept, alike, dropped


def _examples(
    posts: Sequence[Post], settings: Settings, wordings: prompts.Wordings
) -> tuple[dict[str, list[Example]], Dropped, list[Problem]]:
    room = Room(settings.training.max_length, settings.training.system_prompt)
    made: dict[str, list[Example]] = {}
    unusable: Dropped = []
    problems: list[Problem] = []
    for post in posts:
        found, left_out = examples(post, wordings, room, settings.data.seed)
        if found:
            made[post.id] = found
        else:
            unusable.append(
                (post, "no example", "has no passage that fits the context and has enough words outside code")
            )
        if left_out and found:
            what = (
                "a block of code, a table or a sentence was"
                if left_out == 1
                else f"{left_out} blocks of code or tables were"
            )
            reason = f"{what} left out: longer than {settings.training.max_length} tokens allow (training.max_length)"
            problems.append(Problem(post.path, reason, lost=False))
    return made, unusable, problems


def _require_some(
    posts: Sequence[Post], made: Mapping[str, list[Example]], dropped: Dropped, settings: Settings
) -> None:
    if made:
        return
    if not posts:
        raise NothingUsable("there are no posts to prepare", "read some first: blogtwin ingest --input-dir ./blogs")
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(kind for _, kind, _ in dropped).most_common())
    hint = "add longer posts to the blog folder"
    if any(kind == "too short" for _, kind, _ in dropped):
        hint += f", or lower data.min_words (now {settings.data.min_words}) in pipeline_config.yaml"
    elif any(kind == "draft" for _, kind, _ in dropped):
        hint = "take drafts in with: --drafts"
    raise NothingUsable(f"none of the {len(posts)} posts gives an example ({reasons})", hint)


def _counts(
    posts: Sequence[Post],
    usable: Sequence[Post],
    dropped: Dropped,
    validation_ids: set[str],
    train: Sequence[Example],
    validation: Sequence[Example],
) -> dict[str, float]:
    counts: dict[str, float] = {"posts": len(posts), "kept": len(usable)}
    counts |= {f"dropped, {kind}": count for kind, count in sorted(Counter(kind for _, kind, _ in dropped).items())}
    counts |= {
        "words": sum(post.word_count for post in usable),
        "training posts": len(usable) - len(validation_ids),
        "validation posts": len(validation_ids),
        "training examples": len(train),
        "validation examples": len(validation),
    }
    for side, found in (("training", train), ("validation", validation)):
        kinds = Counter(example.kind for example in found)
        counts |= {f"{side}, {kind}": kinds[kind] for kind in _KINDS}
    return counts
