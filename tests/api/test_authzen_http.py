"""AuthZEN: the HTTP requests that gateways ask about."""

from typing import Any

import pytest

from tests.api.authzen_calls import asked, told
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support import adapters as do
from tests.support.adapters import adapter

__all__ = ["make_engine", "plugins"]

ALICE = {"type": "identity", "id": "alice"}


def question(subject: Any, action: Any, resource: Any) -> dict[str, Any]:
    return {"subject": subject, "action": action, "resource": resource}


@pytest.mark.parametrize(
    ("properties", "condition"),
    [
        ({"uri": "https://shop:8443/a/b?c=d"}, "request.path == '/a/b?c=d'"
         " && request.host == 'shop:8443' && request.scheme == 'https'"
         " && request.url_path == '/a/b' && request.query == 'c=d'"),
        ({"uri": "/a"}, "request.path == '/a' && !has(request.host) && !has(request.scheme)"),
        ({"path": "/a", "hostname": "shop", "schema": "http"},
         "request.path == '/a' && request.host == 'shop' && request.scheme == 'http'"),
        ({}, "request.path == '/users/{id}'"),
        ({"headers": {"X-Key": "k", "x-more": ["1", "2"]}},
         "request.headers['x-key'] == 'k' && request.headers['x-more'] == '1,2'"),
    ],
)  # fmt: skip
def test_an_http_request(
    make_engine: MakeEngine, plugins: Plugins, properties: Any, condition: str
) -> None:
    """What a gateway asks about is what any adapter reads."""
    text = adapter(
        do.where_true(f"request.method == 'PUT' && {condition}", do.deny(403, "", "seen"))
    )
    gateway = make_engine(plugins.plugin("one", text))
    resource = {"type": "route", "id": "/users/{id}", "properties": properties}
    answer = told(asked(gateway, question(ALICE, {"name": "PUT"}, resource)))
    assert answer["context"]["reason_admin"] == {"403": "one: seen"}


@pytest.mark.parametrize(
    "resource",
    [
        {"id": "no path"}, {"id": "/a b"}, {"id": "/a#b"},
        *({"id": "/", "properties": {"uri": uri}} for uri in (
            "https://", "ftp://a/", "//a/b", "http://user@a/", "http://a/b#c", "/a\r\nx: 1", 1,
            "http://a\\b/", "a", "http:///a",
        )),
        {"id": "/", "properties": {"path": "a"}},
        {"id": "/", "properties": {"hostname": "a/b"}},
        {"id": "/", "properties": {"schema": "file"}},
        *({"id": "/", "properties": {"headers": headers}} for headers in (
            [], {"x": 1}, {"x": "1\r\ny: 2"}, {"x y": "1"}, {"": "1"}, {":path": "/b"},
            {"Host": "other"}, {"x": {"y": "z"}}, {"content-length": "1"},
            {f"x-{n}": "1" for n in range(257)},
        )),
    ],
)  # fmt: skip
def test_what_is_no_http_request(resource: Any) -> None:
    """A part that could be read in two ways is refused."""
    answer = asked(None, question(ALICE, {"name": "GET"}, {"type": "route", **resource}))
    assert answer.status == 400
    assert (
        asked(None, question(ALICE, {"name": "GE T"}, {"type": "route", "id": "/"})).status == 400
    )
