"""The IETF's header fields "RateLimit", for responses.

Source: draft-ietf-httpapi-ratelimit-headers, versions 03 (as Envoy's ``X-RateLimit-*``, without the
``X-``) and 10 (structured fields).
"""

from collections.abc import Callable, Iterable, Sequence

from mixer.config import RateLimitHeaders
from mixer.engine import QuotaStanding

MOST_ITEMS = 16
"""Of one field: a proxy has bounds on headers of its own."""
_NS = 1_000_000_000

Fields = list[tuple[str, str]]


def header_fields(version: RateLimitHeaders, standings: Iterable[QuotaStanding]) -> Fields:
    """The fields for some limits; those without a number are left out.

    Args:
        version: Of the draft.
        standings: Of the limits.
    """
    told = sorted((one for one in standings if one.limit is not None), key=_remaining)
    write = _WRITERS.get(version)
    return write(told[:MOST_ITEMS]) if told and write else []


def _remaining(standing: QuotaStanding) -> int:
    return standing.remaining or 0


def _version_03(standings: Sequence[QuotaStanding]) -> Fields:
    """The limit with the least left, and all limits as its policies."""
    first = standings[0]
    policies = (f"{one.limit};w={_window(one)}" for one in standings if one.window)
    fields = [
        ("ratelimit-limit", ", ".join([str(first.limit), *policies])),
        ("ratelimit-remaining", str(_remaining(first))),
    ]
    return fields if first.reset is None else [*fields, ("ratelimit-reset", str(first.reset))]


def _version_10(standings: Sequence[QuotaStanding]) -> Fields:
    policies = (f"{_name(one)};q={one.limit}" + _parameter("w", _window(one)) for one in standings)
    limits = (f"{_name(one)};r={_remaining(one)}" + _parameter("t", one.reset) for one in standings)
    return [("ratelimit-policy", ", ".join(policies)), ("ratelimit", ", ".join(limits))]


def _parameter(name: str, value: int | None) -> str:
    return f";{name}={value}" if value else ""


def _window(standing: QuotaStanding) -> int:
    """Seconds, rounded up."""
    return -(-(standing.window or 0) // _NS)


def _name(standing: QuotaStanding) -> str:
    """A string of a structured field, which is printable ASCII."""
    printable = (c if " " <= c <= "~" else "_" for c in standing.policy or "default")
    text = "".join(printable).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_WRITERS: dict[RateLimitHeaders, Callable[[Sequence[QuotaStanding]], Fields]] = {
    RateLimitHeaders.DRAFT_VERSION_03: _version_03,
    RateLimitHeaders.DRAFT_VERSION_10: _version_10,
}
