"""Requests as a front end makes them whose callers say what they want."""

from collections.abc import Mapping
from typing import Any

from mixer.engine import Request
from mixer.testing import Plugin, Stream
from tests.engine.conftest import request


def check_request(*headers: tuple[str, str], **attributes: Any) -> Request:
    """Ask whether a request may pass."""
    return request(*headers, attributes={"mixer.operation": "check", **attributes})


def quota_request(
    name: str, amount: int, *headers: tuple[str, str], best_effort: bool = False, **attributes: Any
) -> Request:
    """Ask for an amount of a quota."""
    own = {
        "mixer.operation": "quota",
        "mixer.quota": {"name": name, "amount": amount, "best_effort": best_effort},
    }
    return request(*headers, attributes={**own, **attributes})


def raw_request(plugin: Plugin, headers: Mapping[str, str | bytes]) -> Stream:
    """A request whose headers need not be text."""
    given = {
        ":method": "GET",
        ":path": "/",
        ":authority": "localhost",
        ":scheme": "http",
        **headers,
    }
    stream = plugin.stream()
    stream.request.headers.set_all(
        [(n.encode(), v if isinstance(v, bytes) else v.encode()) for n, v in given.items()]
    )
    stream.outcome = stream.open().on_request_headers(end_of_stream=True)
    return stream
