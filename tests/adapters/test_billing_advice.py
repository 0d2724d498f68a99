"""What the adapter billing says in the log where nothing comes of a request."""

from typing import Any

import pytest
import yaml

from mixer.attributes import Value
from mixer.proxywasm import PluginStartError
from mixer.testing import Host, Plugin
from tests.adapters import readme
from tests.adapters.test_billing import load, passing
from tests.adapters.usage_queue import UsageQueue

ENOUGH = 100
"""Requests whose end nobody tells, before the log has it."""


@pytest.fixture(autouse=True)
def queue(proxy_wasm: Host) -> UsageQueue:
    return UsageQueue(proxy_wasm)


def decided(plugin: Plugin, times: int, properties: dict[str, Value] | None = None) -> None:
    """Requests that somebody asks about, and tells nothing of their end."""
    for _ in range(times):
        stream = plugin.stream(properties)
        stream.request_headers({"x-user": "u"})
        stream.delete()


def test_no_field_is_something_else_in_yaml() -> None:
    """YAML 1.1, as Kubernetes and Istio read it, takes some names for booleans."""
    names = readme.known("billing")
    assert set(yaml.safe_load("".join(f"{name}: 1\n" for name in names))) == names


def test_a_field_that_yaml_renames(proxy_wasm: Host) -> None:
    """Who writes `on` is told the name of the field."""
    said = "true is not a known field: recordOn says when a record is made; known here: recordOn, "
    with pytest.raises(PluginStartError, match=said):
        load(proxy_wasm, true="request")


def test_nobody_tells_of_the_end(proxy_wasm: Host, queue: UsageQueue) -> None:
    """After so many requests the log has once what is missing."""
    plugin = load(proxy_wasm)
    decided(plugin, ENOUGH - 1)
    assert plugin.messages() == []
    decided(plugin, 2 * ENOUGH)
    assert (plugin.messages(), queue.take()) == (
        ["billing: 100 requests have passed, and nobody told of the end of any: none was recorded. "
         "With recordOn: log the service needs the proxy's access logs or reports "
         "(docs/access-logs.md), or else set recordOn: request; said once"], [],
    )  # fmt: skip


@pytest.mark.parametrize("operation", ["report", None])
def test_somebody_tells_of_the_end(proxy_wasm: Host, operation: str | None) -> None:
    """A report, or the end of a request that passed here, is enough."""
    plugin = load(proxy_wasm)
    decided(plugin, ENOUGH - 1)
    if operation:
        plugin.stream({"mixer.operation": operation}).close()
    else:
        passing(plugin, x_user="u")
    plugin.messages()
    decided(plugin, ENOUGH)
    assert not any("nobody told" in text for text in plugin.messages())


@pytest.mark.parametrize(
    ("config", "properties"),
    [({}, {"mixer.operation": "check"}), ({}, {"mixer.operation": "explain"}),
     ({"recordOn": "request"}, {})],
)  # fmt: skip
def test_no_end_is_awaited(
    proxy_wasm: Host, config: dict[str, Any], properties: dict[str, Value]
) -> None:
    """Of who only asks, and of what was recorded before."""
    plugin = load(proxy_wasm, **config)
    decided(plugin, ENOUGH + 1, properties)
    assert plugin.messages() == []


def test_requests_that_are_refused_here(proxy_wasm: Host) -> None:
    """They have no record anyway."""
    plugin = load(proxy_wasm, subject='request.headers["x-gone"]', unknownSubject="deny")
    decided(plugin, ENOUGH + 1)
    assert plugin.messages() == []


@pytest.mark.parametrize("unknown", ["skip", "deny"])
def test_no_subject(proxy_wasm: Host, unknown: str) -> None:
    """The log has it once, with the usual causes; a name pays without a word."""
    silent = load(proxy_wasm, unknownSubject="nobody")
    plugin = load(proxy_wasm, unknownSubject=unknown)
    for _ in range(2):
        for one in (silent, plugin):
            one.stream({"mixer.operation": "report"}).close()
    assert silent.messages() == []
    (said,) = plugin.messages()
    assert said.startswith("billing: subject has no value that names anybody, ")
    assert "additional_request_headers_to_log" in said


def test_what_is_read_too_early(proxy_wasm: Host) -> None:
    """Labels and the like have no value before there is a response; a match could never hold."""
    early = {"recordOn": "request", "labels": {"code": "response.code"}}
    assert load(proxy_wasm, **early).messages() == [
        "billing: labels.code reads response.*, which is not known yet with recordOn: request: "
        "it has no value"
    ]
    with pytest.raises(PluginStartError, match=r"match reads response\.\*, .* recordOn: log"):
        load(proxy_wasm, recordOn="request", match="response.code < 400")
