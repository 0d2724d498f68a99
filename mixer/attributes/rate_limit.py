"""What is asked by the protocols for rate limits: a domain, and keys with values."""

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mixer.attributes.bag import Resolver
from mixer.attributes.caller import CALLER_RESOLVERS, FindCaller


class Entries(Mapping[str, str]):
    """Keys with values, in order, of which a key may come more than once.

    As a mapping it has the first value of each key; its items are all of them, and so is what a
    module reads of it.

    Args:
        pairs: Keys and values.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)

    def __getitem__(self, key: str) -> str:
        for one, value in self.pairs:
            if one == key:
                return value
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))

    def items(self) -> ItemsView[str, str]:
        """Every key with its value, in order."""
        return _Items(self)


class _Items(ItemsView[str, str]):
    _mapping: Entries

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._mapping.pairs)

    def __len__(self) -> int:
        return len(self._mapping.pairs)


@dataclass(frozen=True, slots=True)
class RateLimitSource:
    """What the resolvers are given.

    Attributes:
        quota: ``mixer.quota``: ``name``, ``amount`` and ``best_effort``.
        rate_limit: ``mixer.rate_limit``: ``domain``, and ``descriptor`` (the rate limit service) or
            ``bucket`` (rate limit quota), which are `Entries`; ``limit`` where the proxy says one.
        caller: Tells who asks.
    """

    quota: Mapping[str, Any]
    rate_limit: Mapping[str, Any]
    caller: FindCaller


RATE_LIMIT_RESOLVERS = MappingProxyType[str, Resolver](
    {
        **CALLER_RESOLVERS,
        "mixer.operation": lambda _source: "quota",
        "mixer.quota": lambda source: source.quota,
        "mixer.rate_limit": lambda source: source.rate_limit,
    }
)
"""How to compute each attribute from a `RateLimitSource`."""
