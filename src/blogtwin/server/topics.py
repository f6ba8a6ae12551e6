"""What the author writes about. In: the author's posts, with their tags. Out: topics, suggestions, and the subject of a prompt.

A subject is one of the author's own tags, so that feedback can be told apart by it; without tags there are none.
"""

from __future__ import annotations

import math
import re
import secrets
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blogtwin import jsonl
from blogtwin.errors import BlogtwinError
from blogtwin.records import Post
from blogtwin.server.twins import Twins

OTHER = "other"
_MOST = 40  # topics
_WORD = re.compile(r"[^\W\d_]{3,}")
_PROMPTS = ("Something new about {topic}", "What I got wrong about {topic}", "{topic}, for somebody who begins")


@dataclass(frozen=True)
class _Known:
    """topics: the author's tags, the most frequent first. words: of each topic, how much each word speaks for it."""

    topics: tuple[str, ...]
    words: dict[str, dict[str, float]]


class Topics:
    """Of every twin; read when first asked for. Every method may read files, and is called in a thread."""

    def __init__(self, twins: Twins) -> None:
        self._twins = twins
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def topics(self, twin: str) -> Sequence[str]:
        """The author's tags, the most frequent first."""
        return self._of(twin).topics

    def prompts(self, twin: str, many: int = 6) -> list[str]:
        """Prompts about topics of the author's, drawn anew each time; frequent ones come more often."""
        topics, chance = list(self.topics(twin)[:20]), secrets.SystemRandom()
        chosen: list[str] = []
        while topics and len(chosen) < many:
            topic = chance.choices(topics, [1 / (place + 2) for place in range(len(topics))])[0]
            topics.remove(topic)
            chosen.append(_PROMPTS[len(chosen) % len(_PROMPTS)].format(topic=topic))
        return [one[:1].upper() + one[1:] for one in chosen]

    def subject_of(self, twin: str, prompt: str) -> str:
        """The topic that the prompt names, else the one whose posts share most of its words; `other` where none does."""
        known, said = self._of(twin), {word.lower() for word in _WORD.findall(prompt[:5000])}
        for topic in known.topics:
            own = {word.lower() for word in _WORD.findall(topic)}
            if own and own <= said:
                return topic
        scores = {topic: sum(words.get(word, 0.0) for word in said) for topic, words in known.words.items()}
        best = max(scores, key=scores.__getitem__, default=OTHER)
        return best if scores.get(best, 0.0) > 0 else OTHER

    def reload(self) -> None:
        """Read the posts anew when they are next asked for."""
        with self._lock:
            self._known.clear()

    def _of(self, twin: str) -> _Known:
        with self._lock:
            if twin not in self._known:
                self._known[twin] = _known(self._posts(twin))
            return self._known[twin]

    def _posts(self, twin: str) -> list[Post]:
        try:
            return list(jsonl.read(self._twins.workspace(twin).posts, Post))
        except BlogtwinError:  # it was trained elsewhere, or its posts were put away: it writes all the same
            return []


def _known(posts: Sequence[Post]) -> _Known:
    counts = Counter(tag for post in posts for tag in {tag.strip().lower() for tag in post.tags} if tag)
    topics = tuple(tag for tag, _ in counts.most_common(_MOST))
    titles = {id(post): {word.lower() for word in _WORD.findall(f"{post.title} {post.text[:600]}")} for post in posts}
    seen = Counter(word for words in titles.values() for word in words)
    by_topic: dict[str, dict[str, float]] = {}
    for topic in topics:
        own = [titles[id(post)] for post in posts if topic in {tag.strip().lower() for tag in post.tags}]
        inside = Counter(word for words in own for word in words)
        # How much more often than by chance the word stands in posts of this topic, in nats (pointwise mutual information).
        told = {
            word: math.log(count / len(own) / (seen[word] / len(posts)))
            for word, count in inside.items()
            if count > 1 and seen[word] < len(posts) / 4
        }
        by_topic[topic] = {word: weight for word, weight in told.items() if weight > 0.7}
    return _Known(topics, by_topic)
