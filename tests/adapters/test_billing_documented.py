"""The README of the billing adapter: its examples do what it says."""

import re
from fractions import Fraction
from typing import Any

import pytest
import yaml

from mixer.attributes import Value
from mixer.state.ledger.rating import rate_units
from mixer.testing import Host
from mixer.wire.ledger_pb2 import Plan, Rate
from tests.adapters import llm, readme
from tests.adapters.usage_queue import UsageQueue, units

_EXAMPLE = re.compile(r"^### ([^\n]+)\n[^#]*?```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)
_SECTION = readme.page("billing").partition("\n## Examples\n")[2]
EXAMPLES = {title: yaml.safe_load(text) for title, text in _EXAMPLE.findall(_SECTION)}
_RATED = re.findall(r"(?m)^\| `(\{.*\})` \| (\d+) \| ([\d.]+) \|$", readme.page("billing"))


class World:
    """A host with a queue, and one example."""

    def __init__(self, host: Host, example: str) -> None:
        self.queue = UsageQueue(host)
        self._plugin = host.load("builtin://billing", EXAMPLES[example])

    def ask(
        self,
        *,
        path: str = "/",
        status: int = 200,
        response: tuple[str, bytes] | None = None,
        properties: dict[str, Value] | None = None,
        **headers: str,
    ) -> int:
        """Let a request pass; the status that the client gets."""
        stream = self._plugin.stream(properties)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        stream.request_headers({":path": path, **named})
        if stream.local_response is None:
            kind, body = response or ("text/plain", b"")
            stream.response_headers({"content-type": kind}, status=status, end_of_stream=not body)
            if body:
                stream.response_body(body)
        stream.close()
        return stream.local_response.status if stream.local_response else status


@pytest.fixture
def world(proxy_wasm: Host, request: pytest.FixtureRequest) -> World:
    return World(proxy_wasm, request.param)


def example(title: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("world", [title], indirect=True)


def test_there_are_these_examples() -> None:
    """Each has a test here."""
    assert list(EXAMPLES) == ["Per call", "Per byte", "Per token", "Tiers and included volume"]


@example("Per call")
def test_per_call(world: World) -> None:
    """What was refused is free, and without a consumer nothing passes."""
    assert [world.ask(x_consumer="acme", status=one) for one in (200, 404, 302)] == [200, 404, 302]
    found = world.queue.take()
    assert [(one.subject, one.plan, units(one)) for one in found] == [
        ("acme", "basic", {"calls": 1})
    ] * 2
    # The condition reads the response, and may hold once there is one.
    assert world.ask() == 403
    assert world.queue.take() == []


@example("Per byte")
def test_per_byte(world: World) -> None:
    """Both directions, for a path that is not free."""
    own: dict[str, Value] = {"source.user": "al", "destination.service.name": "shop"}
    for path, known in (("/a", own), ("/static/x", own), ("/b", {})):
        properties: dict[str, Value] = {"request.total_size": 1000, "mixer.attribute": known}
        world.ask(properties=properties, path=path)
    first, second = world.queue.take()
    assert (first.subject, dict(first.labels)) == ("al", {"service": "shop"})
    assert (second.subject, dict(second.labels)) == ("anonymous", {})
    assert units(first)["total_bytes"] > 1000


@example("Per token")
@pytest.mark.parametrize("name", ["openai-chat-json", "openai-chat-sse", "anthropic-messages-sse"])
def test_per_token(world: World, name: str) -> None:
    """Each kind of token has a meter of its own."""
    kind, body, usage = llm.CASES[name]
    world.ask(x_consumer="acme", response=(kind, body))
    (record,) = world.queue.take()
    cached = {"cache_read_tokens": 1000} if "anthropic" in name else {}
    expected = {meter: usage[meter] for meter in ("input_tokens", "output_tokens")} | cached
    assert (units(record), record.labels["host"]) == (expected, "example.com")


@example("Tiers and included volume")
def test_tiers(world: World) -> None:
    """The plan of the header, else the default one."""
    for plan in ("pro", "free", "gold"):
        world.ask(x_consumer="acme", x_plan=plan)
    found = [(one.plan, one.plan_version) for one in world.queue.take()]
    assert found == [("pro", "3"), ("free", "1"), ("free", "1")]
    pro = next(plan for plan in world.queue.plans if plan.name == "pro")
    # 500 included ones more than there are, 9000 at the first price, 2000 at the second.
    rated = [money(pro.rates[0], units) for units in (500, 1001, 12_000)]
    assert rated == [0, Fraction("0.001"), 10]


def money(rate: Rate, units: int) -> Fraction:
    """As the ledger rates it."""
    return Fraction(rate_units(rate, units), 10**9)


def sent(host: Host, rate: dict[str, Any]) -> Plan:
    """The plan that the module makes of a rate."""
    queue = UsageQueue(host)
    plan = {"name": "p", "version": "1", "currency": "EUR", "rates": {"calls": rate}}
    host.load("builtin://billing", {"subject": '"a"', "plans": [plan]})
    assert queue.take() == []
    return queue.plans[0]


@pytest.mark.parametrize(("rate", "count", "price"), _RATED)
def test_rating(proxy_wasm: Host, rate: str, count: str, price: str) -> None:
    """The table holds: from the configuration through the module to the ledger's rating."""
    plan = sent(proxy_wasm, yaml.safe_load(rate))
    assert money(plan.rates[0], int(count)) == Fraction(price)


def test_every_example_of_rating_is_tested() -> None:
    """The table is read whole."""
    section = readme.page("billing").partition("## Rating")[2].partition("\n## ")[0]
    assert len(_RATED) == section.count("\n| `{") == 18
