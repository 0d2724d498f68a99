"""Who asks: the proxy or service at the other end of a front end's connection."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from mixer.attributes.bag import Resolver


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller.

    Attributes:
        address: Without the port, which is another one for each connection; ``unix`` of a Unix
            socket.
        principal: What its certificate says, where it had to show one: a SPIFFE ID, or another of
            its names.
    """

    address: str
    principal: str | None = None

    @property
    def name(self) -> str:
        """The principal, or the address of a caller that has none."""
        return self.principal or self.address


FindCaller = Callable[[], Caller]
"""Tells who asks; called only where somebody wants to know."""

NOBODY = Caller("")
"""Of a request that came over no connection."""


class HasCaller(Protocol):
    """What the resolvers are given."""

    @property
    def caller(self) -> FindCaller:
        """Who asks."""


CALLER_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "mixer.caller": lambda source: source.caller().name or None,
        "mixer.caller_principal": lambda source: source.caller().principal,
    }
)
"""``mixer.caller`` and what is known of it, the same in every front end."""
