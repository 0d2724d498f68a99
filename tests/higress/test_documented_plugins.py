"""The adapters that docs/higress.md shows do what it says."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mixer.config import loads
from mixer.proxywasm import RootContext
from mixer.testing.callouts import FakeHttpCall
from tests.higress.cases import Expected, Request, Response, refused
from tests.higress.host import Answers, Host, logging_to, through

_PAGE = Path(__file__).parents[2] / "docs" / "higress.md"
_DOCUMENTS = re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(), flags=re.DOTALL)
_PATH = "/v1/embeddings"


@contextmanager
def _documented(
    host: Host, name: str, plugin: str, callouts: Answers | None = None
) -> Iterator[RootContext]:
    found = {p.name: p for p in loads("---\n".join(_DOCUMENTS)).plugins}[name]
    configuration = found.configuration.decode()
    with host.started(plugin, configuration, logging_to([], callouts)) as root:
        yield root


def _authorize(call: FakeHttpCall) -> None:
    status = {"Bearer good": 200, "Bearer bad": 401}.get(call.headers["authorization"], 503)
    call.respond(status, b"", [("X-Mse-Consumer", "alice")])


@pytest.mark.parametrize(
    ("token", "route", "expected", "asked"),
    [
        ("good", "models/chat", Expected(sent={"x-mse-consumer": "alice", "cookie": None}), True),
        ("bad", "models/chat", refused(401), True),
        ("down", "models/chat", refused(403), True),
        ("bad", "other", Expected(sent={"cookie": "c"}), False),
        ("bad", None, Expected(sent={"cookie": "c"}), False),
    ],
)
def test_ext_auth(
    host: Host, token: str, route: str | None, expected: Expected, asked: bool
) -> None:
    """It asks about the routes that it claims, and about none without a name."""
    callouts = Answers(_authorize)
    properties = {} if route is None else {"xds.route_name": route}
    headers = (("authorization", f"Bearer {token}"), ("cookie", "c"))
    with _documented(host, "ext-auth", "gpustack-ext-auth", callouts) as root:
        expected.check(through([root], Request(_PATH, headers, properties=properties), Response()))
    clusters = [call.call.cluster for call in callouts.http_calls]
    assert clusters == (["outbound|80||accounts.static"] if asked else [])
    names = [cluster.name for cluster in loads("---\n".join(_DOCUMENTS)).mixer.clusters]
    assert names == ["outbound|80||accounts.static"]


def test_transformer(host: Host) -> None:
    """It removes, renames and adds a header."""
    request = Request(_PATH, (("x-debug", "1"), ("x-user", "a")))
    sent = {"x-debug": None, "x-user": None, "x-consumer": "a", "x-team": "blue"}
    with _documented(host, "transformer", "transformer") as root:
        Expected(sent=sent).check(through([root], request, Response()))


def test_rate_limit(host: Host) -> None:
    """The third request of a user within a minute is refused; others go on."""
    with _documented(host, "rate-limit", "gpustack-rate-limit") as root:
        for user in ("a", "a", "b"):
            Expected().check(through([root], Request(_PATH, (("x-user", user),)), Response()))
        seen = through([root], Request(_PATH, (("x-user", "a"),)), Response())
    assert seen.status == 429
    assert b"slow down" in seen.body
