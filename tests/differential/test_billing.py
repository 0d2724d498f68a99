"""The billing adapter in Envoy's own Wasm filter and in this host: the same records."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mixer.config.module import module_path
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.testing import Host
from mixer.wire.ledger_pb2 import UsageRecord
from tests.adapters import llm
from tests.adapters.usage_queue import UsageQueue, units
from tests.differential.exchange import Message, Scenario, Upstream, listen, through_listener
from tests.differential.usage_consumer import logged, module_text
from tests.support.compile import wasm

SETTLE_S = 30.0
LABELS = {"path": "request.path", "code": "response.code", "agent": 'request.headers["x-agent"]'}
PLAN = {"name": "p", "version": "1", "currency": "EUR", "rates": {"calls": {"price": "0.5"}}}
CONFIG: dict[str, Any] = {
    "subject": 'request.headers["x-user"]',
    "unknownSubject": "deny",
    "meters": ["calls", "input_tokens", "output_tokens", "total_tokens",
               {"name": "paths", "value": "size(request.path)"}],
    "labels": LABELS,
    "plans": [PLAN],
}  # fmt: skip
ON_REQUEST = {
    **CONFIG,
    "recordOn": "request",
    "meters": ["calls"],
    "labels": {"path": "request.path"},
}
DENIES = {"rules": [{"match": 'request.path == "/denied-before"', "deny": {}}]}


def response(kind: str, body: bytes, status: int = 200, encoding: str = "") -> Message:
    encodings = (("content-encoding", encoding),) if encoding else ()
    fields = (("content-type", kind), *encodings)
    pieces = tuple(body[at : at + 150] for at in range(0, min(len(body), 600), 150))
    return Message((*pieces, body[600:]) if body[600:] else pieces, headers=fields, status=status)


def asking(message: Message, user: str | None = "acme") -> Scenario:
    headers = (("x-user", user),) if user else ()
    return Scenario({}, Message(headers=(*headers, ("x-agent", "a/1"))), message)


JSON, SSE = "application/json", "text/event-stream"
OPENAI = llm.CASES["openai-chat-json"][1]
SCENARIOS = {
    **{name: asking(response(kind, body)) for name, (kind, body, _) in llm.CASES.items()},
    "compressed": asking(response(JSON, OPENAI, encoding="gzip")),
    "refused": asking(response(JSON, OPENAI, 429)),
    "rubbish": asking(response(JSON, b"<html>\xff")),
    "no-event": asking(response(SSE, b"data: [DONE]\n\n")),
    "unknown": asking(response(JSON, OPENAI), None),
    "denied-before": asking(response(JSON, OPENAI)),
}


@dataclass
class Seen:
    """What came of all scenarios.

    Attributes:
        statuses: What the clients got, by scenario.
        records: By the path of the request.
        plans: Names of plans.
        told: What the adapter logged.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    records: dict[str, UsageRecord] = field(default_factory=dict)
    plans: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)


def filters(folder: Path, name: str, config: dict[str, Any]) -> list[build.Config]:
    consumer = folder / "consumer.wasm"
    consumer.write_bytes(wasm(module_text()))
    return [
        build.wasm_filter("consumer", consumer, "", vm_id="mixer"),
        build.wasm_filter("policy", module_path("builtin://policy", Path()), json.dumps(DENIES)),
        adapter(name, config),
    ]


def adapter(name: str, config: dict[str, Any]) -> build.Config:
    return build.wasm_filter(name, module_path("builtin://billing", Path()), json.dumps(config))


async def until(envoy: EnvoyProcess, records: int) -> Seen:
    """What is logged once there are so many records."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            log = envoy.log.read_text(errors="replace")
            entries = logged(log)
            found = [one.usage for one in entries if one.HasField("usage")]
            if len(found) >= records:
                break
            await asyncio.sleep(0.05)
    seen = Seen(plans={one.plan.name for one in entries if one.HasField("plan")})
    seen.records = {one.labels["path"]: one for one in found}
    assert len(seen.records) == len(found)
    told = re.findall(r"wasm log [^:]*: (billing: .*)", log)
    seen.told = sorted({line for line in told if "no such queue" not in line})
    return seen


async def in_envoy(folder: Path, config: dict[str, Any], records: int) -> Seen:
    answering = Upstream(SCENARIOS)
    upstream = await listen(answering)
    port = upstream.sockets[0].getsockname()[1]
    listener = build.listener("billing", "upstream", filters(folder, "billing", config))
    bootstrap = build.bootstrap([listener], [build.cluster("upstream", f"127.0.0.1:{port}")])
    async with upstream, EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
        answering.envoy = envoy
        statuses = {
            name: (await through(scenario, name, envoy)) for name, scenario in SCENARIOS.items()
        }
        seen = await until(envoy, records)
    seen.statuses = statuses
    return seen


async def through(scenario: Scenario, name: str, envoy: EnvoyProcess) -> int:
    seen = await through_listener(scenario, name, envoy, listener="billing")
    if seen.status == scenario.response.status:
        assert seen.body == b"".join(scenario.response.body)
    return seen.status


def here(host: Host, config: dict[str, Any]) -> Seen:
    """The same in this host; what another adapter denied does not come here."""
    queue, seen = UsageQueue(host), Seen()
    plugin = host.load("builtin://billing", config, name="billing")
    for name, scenario in SCENARIOS.items():
        if name == "denied-before":
            continue
        stream = plugin.stream()
        fields = dict(scenario.request.headers)
        stream.request_headers({":path": f"/{name}", **fields}, end_of_stream=False)
        if stream.local_response is None:
            message = scenario.response
            stream.response_headers(message.headers, status=message.status, end_of_stream=False)
            for piece in message.body:
                stream.response_body(piece, end_of_stream=False)
        stream.close()
    seen.records = {one.labels["path"]: one for one in queue.take()}
    seen.plans = {one.name for one in queue.plans}
    seen.told = sorted(plugin.messages())
    return seen


def comparable(records: dict[str, UsageRecord]) -> dict[str, Any]:
    """All but the key and the time."""
    return {
        path: (one.subject, one.plan, one.plan_version, units(one), dict(one.labels))
        for path, one in records.items()
    }


@pytest.mark.parametrize("config", [CONFIG, ON_REQUEST], ids=["log", "request"])
def test_the_same_records(
    envoy: Path, tmp_path: Path, proxy_wasm: Host, config: dict[str, Any]
) -> None:
    """Units, plans and labels are equal; each request has a key and a time of its own."""
    ours = here(proxy_wasm, config)
    theirs = asyncio.run(in_envoy(tmp_path, config, len(ours.records)))
    assert comparable(theirs.records) == comparable(ours.records)
    assert len(ours.records) == len(SCENARIOS) - 2
    assert (theirs.plans, theirs.told) == (ours.plans, ours.told)
    expected = {name: one.response.status for name, one in SCENARIOS.items()}
    assert theirs.statuses == {**expected, "unknown": 403, "denied-before": 412}
    keys = {one.idempotency_key for one in theirs.records.values()}
    assert len(keys) == len(theirs.records)
    for record in theirs.records.values():
        name, _, time = record.idempotency_key.split("/")
        assert (name, int(time)) == ("billing", record.time_unix_nano)


async def refused(folder: Path) -> tuple[dict[str, int], str]:
    policies = ("deny", "allow")
    listeners = [
        build.listener(one, None, [adapter(one, {**CONFIG, "onError": one})]) for one in policies
    ]
    scenario = asking(Message())
    async with EnvoyProcess(build.bootstrap(listeners, []), start_timeout_s=120.0) as envoy:
        seen = {one: await through_listener(scenario, one, envoy) for one in policies}
        log = envoy.log.read_text(errors="replace")
    return {name: one.status for name, one in seen.items()}, log


def test_without_a_queue(envoy: Path, tmp_path: Path) -> None:
    """Requests are refused or pass, as configured, and the log says why."""
    statuses, log = asyncio.run(refused(tmp_path))
    assert statuses == {"deny": 503, "allow": 200}
    assert "the queue usage of the vm_id mixer takes no usage: there is no such queue" in log
