"""How many texts one client may ask for in a minute. In: who asks, and for how many. Out: nothing, or TooMany."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from blogtwin.errors import UsageError

_CLIENTS = 4096  # that are remembered; the one that was silent longest is forgotten first


class TooMany(UsageError):
    """More texts than one client may ask for. wait: seconds until there is room again."""

    def __init__(self, message: str, hint: str, wait: float) -> None:
        super().__init__(message, hint)
        self.wait = wait


class Limits:
    """A bucket for each client that holds `per_minute` texts and fills up evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(per_minute), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client → texts left, and when that was

    def take(self, client: str | None, texts: int) -> None:
        """Raises TooMany when there is no room; then nothing was taken."""
        who, now = _whom(client or ""), self._clock()
        left, since = self._left.pop(who, (self._most, now))
        left = min(self._most, left + (now - since) * self._most / 60)
        enough = left >= min(texts, self._most)
        self._left[who] = (left - texts if enough else left, now)
        if len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        if not enough:
            wait = (min(texts, self._most) - left) * 60 / self._most
            raise TooMany(
                f"no more than {self._most:.0f} texts a minute are written for one client",
                f"ask again in {wait:.0f} seconds; the limit is server.per_minute",
                wait,
            )


def _whom(client: str) -> str:
    """An address; of IPv6 the network, as whoever has one address there has 2^64."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
