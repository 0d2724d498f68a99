"""Which callers of an HTTP listener may tell about the requests of their clients."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from mixer.config import UNIX_CALLER

_REMEMBERED = 1024


class TrustedCallers:
    """The proxies of one listener.

    Args:
        networks: Addresses, networks, and ``unix``, as the configuration has them.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        listed = frozenset(networks)
        self._trusts_unix = UNIX_CALLER in listed
        self._networks = tuple(map(ipaddress.ip_network, sorted(listed - {UNIX_CALLER})))
        self._is_within = lru_cache(maxsize=_REMEMBERED)(self._look_up)

    def has(self, address: str) -> bool:
        """Whether one of these is the caller; see `mixer.attributes.Caller.address`."""
        return self._trusts_unix if address == UNIX_CALLER else self._is_within(address)

    def _look_up(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)
