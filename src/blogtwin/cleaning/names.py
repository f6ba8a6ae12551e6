"""Whether two signatures are one person's. In: what posts are signed with, as written. Out: the people in it, and who they are.

"Jane Doe", "jane", "J. Doe", "jdoe", "Doe, Jane" and "jane@example.org" may all be one person; "Jane Doe" and "Jane Smith" may
not.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

# Accounts that software made: they say who may log in, not who wrote.
_NOBODY = frozenset(
    {"admin", "administrator", "root", "author", "webmaster", "editor", "blog", "user", "me", "default"}
)
_BETWEEN_PEOPLE = re.compile(r"\s*(?:[,;&+/、，・]|\b(?:and|und|et|y|e|och|with|mit)\b|と)\s*", re.IGNORECASE)
_ADDRESS = re.compile(r"[<(]?([\w.+-]{1,64})@[\w.-]{1,255}[>)]?")
_BRACKETS = re.compile(r"\([^()]{0,200}\)|<[^<>]{0,200}>|https?://\S*")
_PART = re.compile(r"[^\W_]+")


def people(signature: str) -> list[str]:
    """The people a signature names, as written; software's accounts are nobody."""
    named = _BRACKETS.sub(" ", signature[:300]).strip()
    if not named or "@" in named:
        named = _ADDRESS.sub(lambda match: f" {match.group(1)} ", signature[:300])
    if re.fullmatch(r"[^\W\d_][\w'’-]*, ?[^\W\d_][\w'’.-]*(?: [^\W\d_]\.)?", named):
        named = " ".join(reversed(named.split(",")))  # Doe, Jane
    found = [" ".join(one.split()) for one in _BETWEEN_PEOPLE.split(named)]
    return [one for one in found if any(part not in _NOBODY for part in _parts(one))]


@lru_cache(maxsize=1024)
def same_person(one: str, other: str) -> bool:
    """Whether two names may be one person's: what both say agrees, whatever the case, the accents and the order."""
    fewer, more = sorted((_parts(one), _parts(other)), key=len)
    if not fewer:
        return False
    if "".join(one for one in fewer) in ("".join(more), "".join(reversed(more))):
        return True
    left = list(more)
    for part in fewer:
        match = next((name for name in left if _agree(part, name)), None)
        if match is None:
            break
        left.remove(match)
    else:
        return any(len(part) > 1 for part in fewer)
    # Account names: jdoe, doej, janed.
    if len(fewer) == 1 and len(more) > 1:
        first, last = more[0], more[-1]
        return fewer[0] in (first[0] + last, last + first[0], first + last[0])
    return False


def signed_by(signature: str, name: str) -> bool:
    """Whether `name` is among those who signed."""
    return any(same_person(one, wanted) for one in people(signature) for wanted in people(name) or [name])


def who_signed_most(signatures: Iterable[str | None]) -> str | None:
    """The person whose name stands under most posts, in the spelling most used; None when nobody signs."""
    spellings = Counter(person for signature in signatures if signature for person in people(signature))
    if not spellings:
        return None
    names = [name for name, _ in spellings.most_common(200)]  # a blog has few authors; a dump may have thousands

    def posts(name: str) -> int:
        return sum(spellings[other] for other in names if same_person(name, other))

    return max(names, key=lambda name: (posts(name), spellings[name]))


@lru_cache(maxsize=1024)
def _parts(name: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", name).casefold()
    return tuple(_PART.findall("".join(sign for sign in plain if not unicodedata.combining(sign))))


def _agree(one: str, other: str) -> bool:
    return one == other or (min(len(one), len(other)) == 1 and one[0] == other[0])
