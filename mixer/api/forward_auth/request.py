"""From a proxy's call to a request for the engine."""

from mixer.api.forward_auth.attributes import RESOLVERS, ForwardedSource
from mixer.api.forward_auth.original import PARTIAL_BODY, Carriers, original
from mixer.api.http import HttpCall
from mixer.attributes import AttributeBag, HeaderMap, PairSource
from mixer.engine import Request


def decode(call: HttpCall, carriers: Carriers) -> Request:
    """Read a call.

    Args:
        call: Of a trusted proxy.
        carriers: Its conventions.

    Raises:
        MalformedCallError: It does not tell one request of a client.
    """
    told = original(call, carriers)
    headers = HeaderMap(PairSource(told.pairs))
    partial = call.first(PARTIAL_BODY) if carriers.repeats_body else None
    body = call.body if carriers.repeats_body else b""
    sends_body = bool(body) or partial is not None
    return Request(
        headers=headers,
        attributes=AttributeBag(RESOLVERS, ForwardedSource(told, headers, call.caller, body)),
        body=body if sends_body else None,
        has_body=sends_body,
        body_complete=partial != b"true",
        headers_are_complete=False,  # a proxy may withhold some, which leaves no trace
    )
