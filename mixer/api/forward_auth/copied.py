"""Proxies that copy the headers which they are told to: nginx, Traefik and Caddy.

Where such a proxy copies a header, it makes the client's one what the answer has. What it does
where the answer has none differs: nginx and Traefik remove the client's, while Caddy sends the name
of a variable, keeps the client's, or removes it, depending on its version. So the answer has each
of them as it is now, changed or not, and empty where there is none. Which ones a proxy copies it
says in the query of its call, where no client can say anything; a change of another one would be
lost, and is an error.
"""

from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qsl

from mixer.api.forward_auth.changes import changes, joined
from mixer.api.forward_auth.errors import InexpressibleError, MalformedCallError
from mixer.api.forward_auth.safety import FRAMING, checked, is_name
from mixer.api.http import HttpCall
from mixer.attributes import Pair
from mixer.engine import Decision, Operation, Request

RESPONSE_PREFIX = b"x-mixer-response-"
"""Begins the name of a header that is for the response to the client."""

_PARAMETERS = frozenset({"headers", "response_headers"})
_MOST = 64
_MOST_BYTES = 4096
_SHOWN = 16
_LOST = "changed_but_not_copied;_list_it_in_the_query_and_have_the_proxy_copy_it"

Copied = dict[str, tuple[bytes, ...]]
Values = dict[bytes, tuple[bytes, ...]]


def copied(call: HttpCall) -> Copied:
    """Which headers the proxy copies to the request, and which to the response.

    Raises:
        MalformedCallError: The query says something else.
    """
    return _parse(call.query)


@lru_cache(maxsize=64)
def _parse(query: bytes) -> Copied:
    if len(query) > _MOST_BYTES:
        raise MalformedCallError(f"the query has at most {_MOST_BYTES} bytes")
    found: Copied = dict.fromkeys(_PARAMETERS, ())
    for key, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if key not in found:
            raise MalformedCallError("the query may have headers and response_headers")
        found[key] += tuple(_name(one) for one in text.split(",") if one)
    if max(map(len, found.values())) > _MOST:
        raise MalformedCallError(f"at most {_MOST} headers can be copied")
    return found


def _name(text: str) -> bytes:
    name = text.strip(" ").lower().encode("latin-1", "replace")
    if not is_name(name) or name in FRAMING or name.startswith(b"x-accel-"):
        raise MalformedCallError(f"{name!r} is no header that can be copied")
    return name


def request_headers(names: tuple[bytes, ...], request: Request, decision: Decision) -> list[Pair]:
    """The headers that are copied to the request, as they are now.

    Raises:
        InexpressibleError: Others were changed.
    """
    changed = dict(changes(decision))
    lost = [name.decode() for name in changed if name not in names]
    if lost:
        raise InexpressibleError(f"{','.join(lost[:_SHOWN])}:_{_LOST}")
    return list(_as_they_are(names, request, changed))


def _as_they_are(
    names: tuple[bytes, ...], request: Request, changed: dict[bytes, bytes | None]
) -> Iterator[Pair]:
    for name in names:
        unchanged = joined(name, request.headers.original(name))
        yield checked(name, changed.get(name, unchanged) or b"")


def response_headers(names: tuple[bytes, ...], decision: Decision) -> Iterator[Pair]:
    """The headers that are added to the response; empty where nothing is.

    Raises:
        InexpressibleError: Another one is, or one is not added but replaced or removed.
    """
    values: Values = dict.fromkeys(names, ())
    for one in decision.response_operations:
        if one.name not in values or one.operation is not Operation.APPEND:
            shown = one.name.decode("latin-1")
            raise InexpressibleError(f"{one.operation}_of_response_header_{shown}_is_not_possible")
        values[one.name] += (one.value,)
    for name, several in values.items():
        if name == b"set-cookie" and len(several) > 1:
            raise InexpressibleError("several_set-cookie_are_not_possible_with_forward_auth")
        yield checked(RESPONSE_PREFIX + name, b",".join(several))
