"""What becomes of the request's headers, one by one and each of one value."""

from collections.abc import Iterator

from mixer.api.forward_auth.errors import InexpressibleError
from mixer.api.forward_auth.safety import FRAMING, checked
from mixer.engine import Decision


def joined(name: bytes, values: tuple[bytes, ...]) -> bytes:
    """Several values of one header in one, which means the same: RFC 9110, section 5.3."""
    return (b"; " if name == b"cookie" else b",").join(values)


def changes(decision: Decision) -> Iterator[tuple[bytes, bytes | None]]:
    """Each header that is another one now, with its value; None where it was removed.

    Raises:
        InexpressibleError: Something else was changed than a header that an answer can tell.
    """
    if decision.body is not None:
        raise InexpressibleError("request_body_change_is_not_possible_with_forward_auth")
    for change in decision.request_headers:
        if change.name.startswith(b":") or change.name in FRAMING:
            shown = change.name.decode("latin-1")
            raise InexpressibleError(f"changing_{shown}_is_not_possible_with_forward_auth")
        name, value = checked(change.name, joined(change.name, change.values))
        yield name, value if change.values else None


def no_response_operations(decision: Decision) -> None:
    """Refuse what becomes of the upstream's response, where a proxy cannot be told.

    Raises:
        InexpressibleError: There is something.
    """
    if decision.response_operations:
        raise InexpressibleError("response_headers_are_not_possible_with_this_forward_auth")
