"""What ``mixer explain`` prints."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2

from mixer.telemetry.decision_log import one_line
from mixer.wire import admin_pb2 as pb

_LONGEST_BODY = 200
_ACTIONS = {
    base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD: "set",
    base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD: "add",
}

Decided = Mapping[str, Any]


def as_json(decisions: Sequence[Decided], answer: pb.ExplainResponse) -> dict[str, Any]:
    """Everything, for programs."""
    told: dict[str, Any] = {"decisions": list(decisions)}
    if answer.check_response:
        told["not_run"] = {one.adapter: one.reason for one in answer.not_run}
        told["answer"] = list(_answer(answer.check_response))
    return told


def render(decisions: Sequence[Decided], answer: pb.ExplainResponse) -> str:
    """Everything, for people."""
    lines: list[str] = []
    for one in decisions:
        lines += [*_head(one), *_adapters(one)]
    lines += [f"  {one.adapter}: did not run: {one.reason}" for one in answer.not_run]
    if answer.check_response:
        lines.append("what Envoy would get")
        lines += [f"  {line}" for line in _answer(answer.check_response)]
    return "\n".join(lines)


def _head(one: Decided) -> Iterator[str]:
    reason = f": {one['reason']}" if "reason" in one else ""
    yield f"{one['subject']}: {one['verdict'].upper()}{_by(one)}{reason}"
    began = datetime.fromtimestamp(one["time_unix_nano"] / 1e9, UTC)
    when = began.isoformat(timespec="milliseconds")
    yield f"  at {when} by {one['front_end']}"
    for name, label in (
        ("outcome", "outcome"), ("id", "x-request-id"), ("trace_id", "trace id"), ("host", "host"),
        ("source_address", "client"), ("source_principal", "client is"), ("caller", "asked by"),
        ("caller_principal", "caller is"), ("status", "HTTP status"), ("grpc_code", "gRPC code"),
        ("failed_open", "passed over after a failure"), ("cache", "decision cache"),
    ):  # fmt: skip
        if name in one and (name, one["front_end"]) != ("cache", "explain"):  # it is not asked
            yield f"  {label}: {one[name]}"


def _by(one: Decided) -> str:
    """Who decided; what is allowed was let pass by all that ran."""
    if "adapter" not in one:
        return " by no adapter"
    rule = f" (rule {one['rule']})" if "rule" in one else ""
    if one["verdict"] != "allow":
        return f" by {one['adapter']}{rule}"
    if "adapters" not in one:
        return f", last by {one['adapter']}{rule}"
    failed = one.get("failed_open", ())
    names = [ran["name"] for ran in one["adapters"] if ran["name"] not in failed]
    return f", by all of {', '.join(names)}" if len(names) > 1 else f" by {one['adapter']}{rule}"


def _adapters(one: Decided) -> Iterator[str]:
    if "adapters" not in one:
        yield "  no story was kept of it: see spec.telemetry.decisionLog.sampling.story"
        return
    yield f"adapters ({one.get('duration_us', 0):g} us in all, with waiting)"
    for adapter in one["adapters"]:
        rule = f" (rule {adapter['rule']})" if "rule" in adapter else ""
        yield f"  {adapter['name']}{rule}: {adapter['us']:g} us"
        for call in adapter.get("callbacks", ()):
            took = f"{call['us']:g} us at {call['at_us']:g} us"
            yield f"    {call['callback']}: {took}: {call['outcome']}"
        yield from _reads(adapter.get("reads", ()), adapter.get("changed_by", {}))
        for beyond in adapter.get("beyond", ()):
            yield f"    depends on {beyond}"


def _reads(
    reads: Mapping[str, str] | Sequence[str], changed_by: Mapping[str, str]
) -> Iterator[str]:
    """The note is before the value, which might be made to look like one."""
    for name in reads:
        value = reads[name] if isinstance(reads, Mapping) else None
        note = f" ({_change(value, changed_by[name])})" if name in changed_by else ""
        yield f"    read {name}{note}{'' if value is None else f' = {value}'}"


def _change(value: str | None, by: str) -> str:
    if not by:
        return "changed before"
    return f"{({None: 'changed', 'absent': 'removed'}).get(value, 'set')} by {by}"


def _answer(data: bytes) -> Iterator[str]:
    response = external_auth_pb2.CheckResponse.FromString(data)
    denied = response.HasField("denied_response")
    changed = response.denied_response if denied else response.ok_response
    if denied:
        yield f"HTTP status {response.denied_response.status.code}"
    yield from (f"set {_header(one)}" for one in changed.headers)
    if denied:
        if response.denied_response.body:
            yield f"body: {one_line(response.denied_response.body, _LONGEST_BODY)}"
        return
    yield from (f"remove {name}" for name in response.ok_response.headers_to_remove)
    to_client = response.ok_response.response_headers_to_add
    yield from (f"response: {_ACTIONS[one.append_action]} {_header(one)}" for one in to_client)
    if not (changed.headers or response.ok_response.headers_to_remove or to_client):
        yield "nothing is changed"


def _header(option: base_pb2.HeaderValueOption) -> str:
    header = option.header
    value = header.raw_value.decode(errors="backslashreplace") or header.value
    return f"{header.key}: {one_line(value)}"
