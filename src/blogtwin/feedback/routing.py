"""Which version answers whom. In: a twin's versions with their shares, and a session. Out: one of them, always the same.

A hundred slots stand for a hundred per cent. Every challenger has an order of its own, drawn from its name, in which it claims as
many slots as it has per cent, the one that challenges longest first; the champion has the slots that nobody claimed. So
a challenger that grows keeps every session it had, and a new one takes from the champion alone. Where an older challenger grows,
a younger one may have to change some of its slots for others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from blogtwin.errors import InputError
from blogtwin.service_records import Version

_SLOTS = 100


def route(versions: Sequence[Version], session: str) -> Version:
    """The version that answers `session`, any text that stays the same for a reader; the same as long as the shares do.

    versions: of one twin; those that neither are champion nor challenge are passed over. Raises InputError when no champion is
    among them.
    """
    champion = next((one for one in versions if one.state == "champion"), None)
    if champion is None:
        twin = versions[0].twin if versions else "NAME"
        raise InputError("no version is in service", f"deploy one: blogtwin deploy --model-name {twin}")
    challengers = [one for one in versions if one.state == "challenger" and one.share]
    if not challengers:
        return champion
    return _slots(challengers).get(_number(f"{champion.twin}\0{session}") * _SLOTS >> 64, champion)


def _slots(challengers: Sequence[Version]) -> dict[int, Version]:
    """Slot → its challenger."""
    taken: dict[int, Version] = {}
    for version in sorted(challengers, key=lambda one: (one.state_since, one.name)):
        free = [slot for slot in _order(version.name) if slot not in taken]
        taken |= dict.fromkeys(free[: version.share], version)
    return taken


@lru_cache(maxsize=256)
def _order(name: str) -> tuple[int, ...]:
    """All slots, in the order in which the version of that name claims them."""
    return tuple(sorted(range(_SLOTS), key=lambda slot: _number(f"{name}\0{slot}")))


def _number(text: str) -> int:
    """64 bits that depend on the text and on nothing else."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
