"""The floor: what a new version must keep of the champion's figures before it may serve anybody.

In: the figures of two evaluations on the same held-out posts (report.figures). Out: the reasons why the new one may not serve.
It is no test of who is better, which readers decide: it keeps away a version that has lost the voice, recites or leaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import hypot, log

_KEPT = 0.5  # of what the champion gained over its base, in nats a token on held-out posts
_SLACK = 0.05  # nats a token that may be lost in any case: as much as another seed makes
_COPIES = 0.1  # of the answers, beyond those in which the champion copies


def below(version: Mapping[str, float], champion: Mapping[str, float]) -> Iterator[str]:
    """Why `version` may not serve; nothing: it may. Figures that one of them lacks are not compared."""
    yield from _voice(version, champion)
    yield from _copying(version, champion)
    yield from _perplexity(version, champion)


def _voice(version: Mapping[str, float], champion: Mapping[str, float]) -> Iterator[str]:
    """A fall beyond what the intervals of both explain: as independent estimates, so that their widths add as squares."""
    if not {"voice", "voice_low", "voice_high"} <= version.keys() & champion.keys():
        return
    chance = hypot(version["voice_high"] - version["voice"], champion["voice"] - champion["voice_low"])
    if champion["voice"] - version["voice"] > chance:
        yield (
            f"its voice is {version['voice']:.2f}, and the champion's {champion['voice']:.2f}: "
            f"more than the {chance:.2f} that may be chance"
        )


def _copying(version: Mapping[str, float], champion: Mapping[str, float]) -> Iterator[str]:
    copied, before = version.get("copied_answers", 0), champion.get("copied_answers", 0)
    if copied - before > max(1.0, _COPIES * version.get("prompts", 0)):
        yield f"{copied:g} of {version.get('prompts', 0):g} answers repeat long passages of posts, and the champion's {before:g}"
    leaked, before = version.get("private_originals", 0), champion.get("private_originals", 0)
    if leaked > before:
        yield f"it tells personal data {leaked:g} times, and the champion {before:g} times"


def _perplexity(version: Mapping[str, float], champion: Mapping[str, float]) -> Iterator[str]:
    if not {"perplexity", "perplexity_base"} <= version.keys() & champion.keys():
        return
    gained = log(champion["perplexity_base"] / champion["perplexity"])
    lost = log(version["perplexity"] / champion["perplexity"])
    if lost > max(_SLACK, (1 - _KEPT) * gained):
        yield (
            f"its perplexity on held-out posts is {version['perplexity']:.1f}, and the champion's {champion['perplexity']:.1f}"
            f" (the base's: {champion['perplexity_base']:.1f})"
        )
