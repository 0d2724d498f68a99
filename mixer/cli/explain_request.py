"""The request of ``mixer explain``, as Envoy would ask about it."""

from typing import NamedTuple
from urllib.parse import urlsplit

from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2

from mixer.runner.inputs import InputError, content, header_fields


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
    message = external_auth_pb2.CheckRequest()
    http = message.attributes.request.http
    http.scheme, http.host, http.path = _place(target)
    http.method, http.protocol = method, "HTTP/1.1"
    pairs = {":method": method, ":path": http.path, ":scheme": http.scheme}
    http.headers.update(pairs)
    for written, value in header_fields(headers):
        name = written.lower()
        known = http.headers.get(name)
        http.headers[name] = value if known is None else f"{known},{value}"
    if "host" in http.headers:
        http.host = http.headers.pop("host")
    http.headers[":authority"] = http.host
    if body is not None:
        http.raw_body = content(body)
        http.size = len(http.raw_body)
        http.headers.setdefault("content-length", str(http.size))
    _tell(message.attributes, client)
    message.attributes.request.time.GetCurrentTime()
    return bytes(message.SerializeToString())


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
