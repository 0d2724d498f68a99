"""The request of ``mixer explain``, as Envoy would ask about it."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2

from mixer.runner.inputs import InputError, content, header_fields

_NO_UTF8 = "!"
"""What Envoy writes for each byte that a text of its message cannot have."""


class Client(NamedTuple):
    """Who sends the request.

    Attributes:
        address: ``IP:PORT``, or ``[IPv6]:PORT``.
        principal: By its certificate; empty for none.
        extensions: ``NAME=VALUE`` of the proxy's configuration.
    """

    address: str
    principal: str
    extensions: tuple[str, ...]


def check_request(
    target: str, method: str, headers: list[str], body: str | None, client: Client
) -> bytes:
    """Make a serialized CheckRequest.

    Raises:
        InputError: An argument cannot be used.
    """
    for what, given in _texts(method, headers, client):
        check_text(what, given)
    message = external_auth_pb2.CheckRequest()
    http = message.attributes.request.http
    http.scheme, host, path = _place(target)
    pairs = [(":method", method), (":path", path), (":scheme", http.scheme)]
    pairs += [(name.lower(), value) for name, value in header_fields(headers)]
    host = ",".join(value for name, value in pairs if name == "host") or host
    check_text("the host", host)
    http.method, http.protocol, http.host = method, "HTTP/1.1", host
    http.path = "".join(one if _is_text(one) else _NO_UTF8 for one in path)
    pairs = [pair for pair in pairs if pair[0] != "host"] + [(":authority", host)]
    if body is not None:
        http.raw_body = content(body)
        http.size = len(http.raw_body)
        length = ("content-length", str(http.size))
        pairs += [length] if all(name != length[0] for name, _ in pairs) else []
    _tell_headers(http, pairs)
    _tell(message.attributes, client)
    message.attributes.request.time.GetCurrentTime()
    return bytes(message.SerializeToString())


def check_text(what: str, given: str) -> None:
    """Refuse an argument that is not UTF-8, where the message has text alone.

    Raises:
        InputError: It is not; the message begins with what it is.
    """
    if not _is_text(given):
        raise InputError(f"{what} {given!r} is not UTF-8")


def _is_text(argument: str) -> bool:
    """Whether the bytes of an argument are UTF-8; others arrive as lone surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(method: str, headers: list[str], client: Client) -> Iterable[tuple[str, str]]:
    """What the message has as text alone."""
    yield "--method", method
    yield from (("the name of the header", text.partition(":")[0]) for text in headers)
    yield "--source", client.address
    yield "--principal", client.principal
    yield from (("--context-extension", text) for text in client.extensions)


def _tell_headers(http: Any, pairs: list[tuple[str, str]]) -> None:
    """As Envoy does by default, the values of one name joined; else with `encode_raw_headers`."""
    if all(_is_text(value) for _, value in pairs):
        for name, value in pairs:
            known = http.headers.get(name)
            http.headers[name] = value if known is None else f"{known},{value}"
        return
    http.header_map.headers.extend(
        base_pb2.HeaderValue(key=name, raw_value=value.encode(errors="surrogateescape"))
        for name, value in pairs
    )


def _place(target: str) -> tuple[str, str, str]:
    """Scheme, host and path."""
    if target.startswith("/"):
        return "http", "localhost", target
    try:
        url = urlsplit(target)
    except ValueError as error:
        raise InputError(f"{target!r} is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.netloc:
        raise InputError(
            f"{target!r} must be a path, /orders, or a URL, https://shop.example/orders"
        )
    query = f"?{url.query}" if url.query else ""
    return url.scheme, url.netloc.rpartition("@")[2], f"{url.path or '/'}{query}"


def _tell(attributes: attribute_context_pb2.AttributeContext, client: Client) -> None:
    host, _, port = client.address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"--source {client.address!r} must be IP:PORT or [IPv6]:PORT")
    address = attributes.source.address.socket_address
    address.address, address.port_value = host.strip("[]"), int(port)
    attributes.source.principal = client.principal
    for text in client.extensions:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InputError(f"--context-extension {text!r} must be NAME=VALUE")
        attributes.context_extensions[name] = value
