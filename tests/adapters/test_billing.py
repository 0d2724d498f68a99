"""The adapter billing: what it records of a request, and what it does where it cannot."""

import re
from typing import Any

import pytest

from mixer.attributes import Timestamp, Value
from mixer.proxywasm import PluginStartError
from mixer.state import MemorySharedQueues, StateLimits
from mixer.testing import Host, Outcome, Plugin, Stream
from mixer.wire.ledger_pb2 import Period
from tests.adapters import readme
from tests.adapters.usage_queue import UsageQueue, units

Config = dict[str, Any]
BY_HEADER = 'request.headers["x-user"]'
TIME = Timestamp(1_700_000_123_456_789_000)


def load(host: Host, *, name: str = "billing", **config: Any) -> Plugin:
    return host.load("builtin://billing", {"subject": BY_HEADER, **config}, name=name)


def passing(
    plugin: Plugin, properties: dict[str, Value] | None = None, status: int = 200, **headers: str
) -> Stream:
    """A request that passes, with its log."""
    stream = plugin.stream(properties)
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    if stream.request_headers(named) is Outcome.CONTINUE:
        stream.response_headers(status=status)
    stream.close()
    return stream


def counters(host: Host) -> dict[str, int]:
    """Of the module, but for those at 0."""
    return {
        one.name.removeprefix("billing_").removesuffix("_total"): one.value
        for one in host.metrics.snapshot()
        if one.value
    }


@pytest.fixture
def queue(proxy_wasm: Host) -> UsageQueue:
    return UsageQueue(proxy_wasm)


def test_a_record(proxy_wasm: Host, queue: UsageQueue) -> None:
    """It says who used what by which plan, when, and what else is told of it."""
    plan = {"name": "pro", "version": "2026-01", "currency": "EUR", "rates": {}}
    labels = {"path": "request.path", "code": "response.code", "gone": 'request.headers["gone"]'}
    plugin = load(
        proxy_wasm, plans=[plan], labels=labels, meters=["calls", {"name": "double", "value": "2"}]
    )
    passing(plugin, {"request.time": TIME, "request.id": "r-1"}, x_user="acme")
    (record,) = queue.take()
    assert (record.subject, record.plan, record.plan_version) == ("acme", "pro", "2026-01")
    assert record.time_unix_nano == int(TIME)
    assert record.idempotency_key == f"billing/r-1/{int(TIME)}"
    assert units(record) == {"calls": 1, "double": 2}
    assert dict(record.labels) == {"path": "/", "code": "200"}
    assert counters(proxy_wasm) == {"records": 1}


def test_plans_come_first(proxy_wasm: Host, queue: UsageQueue) -> None:
    """They are in the queue once the plugin is configured, prices in billionths."""
    rates = {
        "calls": {"included": 1000, "price": "0.0004"},
        "total_tokens": {
            "per": 1000, "mode": "VOLUME",
            "tiers": [{"upTo": 100_000, "price": "0.02"}, {"price": "0.015"}],
        },
    }  # fmt: skip
    plan = {"name": "pro", "version": "1", "currency": "EUR", "period": "DAY", "rates": rates}
    plugin = load(proxy_wasm, plans=[plan], meters=["calls"])
    assert queue.take() == []
    (sent,) = queue.plans
    assert (sent.name, sent.version, sent.currency) == ("pro", "1", "EUR")
    assert sent.period == Period.DAY
    calls, tokens = sent.rates
    assert (calls.meter, calls.included, calls.per, calls.volume) == ("calls", 1000, 1, False)
    assert [(t.up_to, t.price_nanos) for t in calls.tiers] == [(0, 400_000)]
    assert (tokens.meter, tokens.per, tokens.volume) == ("total_tokens", 1000, True)
    tiers = [(t.up_to, t.price_nanos) for t in tokens.tiers]
    assert tiers == [(100_000, 20_000_000), (0, 15_000_000)]
    assert plugin.messages() == [
        "billing: plans[0].rates.total_tokens is of a meter that is not counted here"
    ]


PLANS: list[Config] = [
    {"name": name, "version": "1", "currency": "EUR", "rates": {}} for name in ("free", "pro")
]


@pytest.mark.parametrize(
    ("sent", "default", "plan"),
    [("pro", "free", "pro"), ("free", None, "free"), ("gold", "free", "free"), ("gold", None, ""),
     (None, "pro", "pro")],
)  # fmt: skip
def test_choosing_a_plan(
    proxy_wasm: Host, queue: UsageQueue, sent: str | None, default: str | None, plan: str
) -> None:
    """By an expression; where it names no plan the default one counts, and the log has it."""
    chosen = {"defaultPlan": default} if default else {}
    plugin = load(proxy_wasm, plans=PLANS, plan='request.headers["x-plan"]', **chosen)
    for _ in range(2):
        passing(plugin, x_user="a", x_plan=sent) if sent else passing(plugin, x_user="a")
    assert {record.plan for record in queue.take()} == {plan}
    told = ["billing: plan names one that is none of plans; the default plan is taken; said once"]
    assert plugin.messages() == (told if sent == "gold" else [])


def test_keys(proxy_wasm: Host, queue: UsageQueue) -> None:
    """One request has one key; another one of the same id, or another adapter's, another."""
    first, second = load(proxy_wasm, name="a"), load(proxy_wasm, name="b")
    later = Timestamp(int(TIME) + 1)
    for plugin in (first, second):
        for time in (TIME, TIME, later):
            passing(plugin, {"request.time": time, "request.id": "r"}, x_user="u")
    keys = [record.idempotency_key for record in queue.take()]
    at, after = int(TIME), int(later)
    assert keys == [f"{name}/r/{time}" for name in "ab" for time in (at, at, after)]


def test_own_keys(proxy_wasm: Host, queue: UsageQueue) -> None:
    """Where nothing names a request it gets a key that no other one has, in no VM."""
    for plugin in (load(proxy_wasm), load(proxy_wasm)):
        for port in (1, 2, 2):
            address = f"127.0.0.1:{port}"
            source: dict[str, Value] = {"source.address": address, "request.time": TIME}
            passing(plugin, source, x_user="u")
        proxy_wasm.advance(1)
    keys = [record.idempotency_key for record in queue.take()]
    assert len(set(keys)) == 6
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", key) for key in keys)


def test_configured_keys(proxy_wasm: Host, queue: UsageQueue) -> None:
    """An expression says them; one that is too long or no text is replaced by its hash."""
    plugin = load(proxy_wasm, idempotencyKey='request.headers["x-key"]')
    for key in ("mine", "mine", "k" * 1_000_000, "k" * 257, "a\tb"):
        passing(plugin, x_user="u", x_key=key)
    passing(plugin, {"request.id": "r", "request.time": TIME}, x_user="u")
    keys = [record.idempotency_key for record in queue.take()]
    assert keys[:2] == ["mine", "mine"]
    assert all(key.startswith("sha256:") and len(key) == 71 for key in keys[2:5])
    assert keys[5] == f"billing/r/{int(TIME)}"
    assert len(set(keys)) == 5


@pytest.mark.parametrize("subject", ["", "a\0b", "a\nb", "a\x7f", "x" * 257, "x" * 1_000_000])
def test_what_is_no_subject(proxy_wasm: Host, queue: UsageQueue, subject: str) -> None:
    """A name that could be taken for another, or breaks a line, is treated as none."""
    named: dict[str, Value] = {"mixer.attribute": {"source.user": subject}}
    attribute = 'mixer.attribute["source.user"]'
    passing(load(proxy_wasm, subject=attribute), named)
    assert (queue.take(), counters(proxy_wasm)) == ([], {"skipped": 1})
    passing(load(proxy_wasm, subject=attribute, unknownSubject="nobody"), named)
    assert [record.subject for record in queue.take()] == ["nobody"]
    denied = passing(load(proxy_wasm, subject=attribute, unknownSubject="deny"), named)
    answer = denied.local_response
    assert answer is not None
    assert (answer.status, answer.body, answer.details) == (403, b"Forbidden", "unknown_subject")
    assert queue.take() == []


def test_bytes_that_are_no_text(proxy_wasm: Host, queue: UsageQueue) -> None:
    """A subject must be UTF-8; a label has a mark in place of what is not, and is cut."""
    plugin = load(proxy_wasm, labels={"agent": 'request.headers["x-agent"]'})
    for user, agent in ((b"\xff", b""), (b"al", b"a\xff\n\0b"), (b"al", b"\xc3" * 1_000_000)):
        stream = plugin.stream()
        stream.request_headers({})
        stream.request.headers.add(b"x-user", user)
        stream.request.headers.add(b"x-agent", agent)
        stream.close()
    first, second = queue.take()
    assert first.labels["agent"] == "a\ufffd\ufffd\ufffdb"
    assert second.labels["agent"] == "\ufffd" * (256 // 3)
    assert counters(proxy_wasm) == {"records": 2, "skipped": 1}


def test_bytes_and_custom_meters(proxy_wasm: Host, queue: UsageQueue) -> None:
    """Sizes are as the host knows them; what is negative, broken or absent is not recorded."""
    meters = [
        "request_bytes", "response_bytes", "total_bytes",
        {"name": "sent", "value": 'int(request.headers["x-n"])'},
        {"name": "few", "value": "1", "match": 'request.headers["x-n"] == "5"'},
        {"name": "half", "value": "2.5"}, {"name": "none", "value": "0"},
        {"name": "huge", "value": "1.0e300"}, {"name": "nan", "value": "double('nan')"},
    ]  # fmt: skip
    plugin = load(proxy_wasm, meters=meters)
    sizes: dict[str, Value] = {"request.total_size": 100, "response.total_size": 2000}
    for number in ("5", "-5", "9007199254740992", "x"):
        passing(plugin, sizes, x_user="u", x_n=number)
    always = {"request_bytes": 100, "half": 2}
    found = queue.units()
    for one in found:
        assert one.pop("total_bytes") == 100 + one.pop("response_bytes")
    assert found == [{**always, "sent": 5, "few": 1}, always, always, always]
    bad = "is no number from 0 to 2^53 - 1, and is not recorded; said once"
    assert sorted(plugin.messages()) == [
        f"billing: meters[{n}].value {bad}" for n in (3, 7, 8)
    ]  # fmt: skip


def test_a_match(proxy_wasm: Host, queue: UsageQueue) -> None:
    """Only what matches is recorded, and what reads something absent does not."""
    plugin = load(proxy_wasm, match="response.code < 400")
    passing(plugin, x_user="u", status=500)
    assert queue.take() == []
    passing(plugin, x_user="u")
    assert len(queue.take()) == 1
    passing(load(proxy_wasm, match='request.headers["gone"] == "1"'), x_user="u")
    broken = load(proxy_wasm, match="int(request.path) == 1")
    for _ in range(2):
        passing(broken, x_user="u")
    assert queue.take() == []
    assert len(broken.messages()) == 1


@pytest.mark.parametrize("on", ["request", "log"])
@pytest.mark.parametrize("operation", ["check", "quota", "explain"])
def test_who_only_asks_is_not_billed(
    proxy_wasm: Host, queue: UsageQueue, on: str, operation: str
) -> None:
    """A check is not the request, and neither is a dry run; its decision is the same."""
    plugin = load(proxy_wasm, recordOn=on, unknownSubject="deny")
    stream = passing(plugin, {"mixer.operation": operation}, x_user="u")
    assert (stream.local_response, queue.take()) == (None, [])
    unknown = passing(plugin, {"mixer.operation": operation}).local_response
    assert (unknown is None) is (on == "request" and operation == "quota")
    assert (queue.take(), counters(proxy_wasm)) == ([], {})


def test_on_request(proxy_wasm: Host, queue: UsageQueue) -> None:
    """The record is made when the request passes, and not again when it is over."""
    plugin = load(proxy_wasm, recordOn="request")
    stream = plugin.request({"x-user": "u"})
    assert queue.units() == [{"calls": 1}]
    stream.response_headers()
    stream.close()
    assert queue.take() == []


@pytest.mark.parametrize("on", ["request", "log"])
@pytest.mark.parametrize("policy", ["deny", "allow"])
def test_without_a_queue(proxy_wasm: Host, on: str, policy: str) -> None:
    """Requests are refused or pass, the log says why once; it goes on once there is a queue."""
    plan = {"name": "p", "version": "1", "currency": "EUR", "rates": {}}
    plugin = load(proxy_wasm, recordOn=on, onError=policy, plans=[plan])
    for _ in range(3):
        answer = passing(plugin, x_user="u").local_response
        assert (answer.status if answer else 200) == (503 if policy == "deny" else 200)
    assert counters(proxy_wasm) == {"refused": 3}
    assert plugin.messages() == [
        "billing: the queue usage of the vm_id mixer takes no usage: there is no such queue: is "
        "there a ledger?; said once until it does"
    ]
    queue = UsageQueue(proxy_wasm)
    passing(plugin, x_user="u")
    assert len(queue.take()) == 1
    assert [one.name for one in queue.plans] == ["p"]
    assert counters(proxy_wasm) == {"refused": 3, "records": 1}


@pytest.mark.parametrize("on", ["request", "log"])
def test_a_full_queue(proxy_wasm: Host, on: str) -> None:
    """A record that is not taken has requests refused for a second, then one more is tried."""
    proxy_wasm.shared_queues = MemorySharedQueues(StateLimits(max_queue_length=1))
    queue = UsageQueue(proxy_wasm)
    plugin = load(proxy_wasm, recordOn=on)

    def statuses(count: int) -> list[int]:
        answers = [passing(plugin, x_user="u").local_response for _ in range(count)]
        return [answer.status if answer else 200 for answer in answers]

    # At the log it is too late for the request of which there is no record.
    missed = 503 if on == "request" else 200
    assert statuses(4) == [200, missed, 503, 503]
    proxy_wasm.advance(1.001)
    assert statuses(2) == [missed, 503]
    assert len(queue.take()) == 1
    proxy_wasm.advance(1.001)
    assert statuses(1) == [200]
    assert len(queue.take()) == 1
    assert counters(proxy_wasm) == {"records": 2, "refused": 5}


def test_an_expression_that_is_none(proxy_wasm: Host) -> None:
    """It is refused at the start, with its place, after the host's own line about why."""
    for config, field in (
        ({"subject": "1 +"}, "subject"),
        ({"match": "1 +"}, "match"),
        ({"idempotencyKey": "1 +"}, "idempotencyKey"),
        ({"plan": "1 +"}, "plan"),
        ({"labels": {"x": "1 +"}}, r"labels\.x"),
        ({"meters": [{"name": "x", "value": "1 +"}]}, r"meters\[0\]\.value"),
        ({"meters": [{"name": "calls", "match": "1 +"}]}, r"meters\[0\]\.match"),
    ):
        with pytest.raises(
            PluginStartError, match=f"column 4: .*; billing: {field} is not an expression"
        ):
            load(proxy_wasm, **config)


def test_memory_is_flat(proxy_wasm: Host, queue: UsageQueue) -> None:
    """Nothing is kept of a subject."""
    plugin = load(proxy_wasm, subject='mixer.attribute["source.user"]')

    def users(first: int, last: int) -> None:
        for number in range(first, last):
            passing(plugin, {"mixer.attribute": {"source.user": f"{number:0256}"}})
            queue.take()

    users(0, 200)
    before = plugin.vm.instance.memory.size()
    users(200, 1200)
    assert plugin.vm.instance.memory.size() == before
    assert counters(proxy_wasm) == {"records": 1200}


def test_every_field_is_documented() -> None:
    """The tables of the page have what the parser knows, and nothing else."""
    assert readme.documented("billing") == readme.known("billing")
