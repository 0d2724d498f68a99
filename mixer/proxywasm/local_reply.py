"""A local response as the message that Envoy makes of it, which then passes the plugins' response
callbacks as any other.
"""

from mixer.attributes import HeaderMap, Pair, PairSource
from mixer.proxywasm.http_stream import HttpMessage, LocalResponse

_DERIVED = (b":status", b"content-length")


def local_reply(local: LocalResponse) -> HttpMessage:
    """Make the message: the status as a header, and what a body needs to be described."""
    headers = [(b":status", b"%d" % local.status)]
    headers += [(n.lower(), v) for n, v in local.headers if n.lower() not in _DERIVED]
    names = {name for name, _ in headers}
    if local.body:
        headers += _described(local.body, names)
    else:
        headers = [pair for pair in headers if pair[0] != b"content-type"]
    return HttpMessage(HeaderMap(PairSource(headers)), local.body)


def _described(body: bytes, names: set[bytes]) -> list[Pair]:
    length = (b"content-length", b"%d" % len(body))
    if b"content-type" in names:
        return [length]
    return [length, (b"content-type", b"text/plain")]
