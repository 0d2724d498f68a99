"""Rules and the decision cache: what a rule reads is part of what a decision follows from."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.engine import Decision, Engine, Request
from tests.engine.conftest import Plugins
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.guest import http_stream

RULES: list[dict[str, Any]] = [
    {
        "match": 'request.path.startsWith("/a")',
        "requestHeaderOperations": [
            {"name": "x-path", "values": ["request.path"]},
            {"name": "x-tag", "values": ['"t"'], "operation": "APPEND"},
            {"name": "x-gone", "operation": "REMOVE"},
        ],
    },
    {
        "match": '"x-go" in request.headers',
        "responseHeaderOperations": [
            {"name": "x-who", "values": ['request.headers["x-user"]', "context_extensions.tenant"]}
        ],
    },
    {"requestHeaderOperations": [{"name": "x-user", "values": ['"ann"']}]},
]


def _documents(plugins: Plugins) -> list[dict[str, Any]]:
    rules = [
        {
            "apiVersion": "mixer.dev/v1alpha1",
            "kind": "MixerRule",
            "metadata": {"name": f"r{number}"},
            "spec": spec,
        }
        for number, spec in enumerate(RULES)
    ]
    valid = {"valid-duration": "1h", "match": 'request.path != "/skipped"'}
    text = adapter(do.when("x-deny", do.deny()))
    return [plugins.plugin("a", text, valid), *rules]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """One that caches, and one that does not."""
    folder = tmp_path_factory.mktemp("rules")
    configuration = Plugins(folder).configuration(*_documents(Plugins(folder)))
    limits = configuration.mixer.decision_cache.model_copy(update={"max_entries": 0})
    never = configuration.mixer.model_copy(update={"decision_cache": limits})
    with Engine(configuration) as cached, Engine(replace(configuration, mixer=never)) as uncached:
        yield cached, uncached


_FEW = st.sampled_from([None, "1", "2"])
_REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            ":path": st.sampled_from(["/a", "/ab", "/b", "/skipped"]),
            "x-go": _FEW, "x-user": st.sampled_from([None, "ann", "eve"]), "x-tag": _FEW,
            "x-gone": _FEW, "x-deny": st.sampled_from([None, None, "1"]), "x-other": _FEW,
            "tenant": _FEW,
        }
    ),
    max_size=12,
)  # fmt: skip


def _request(values: dict[str, str | None]) -> Request:
    tenant = values["tenant"]
    pairs = [(n.encode(), v.encode()) for n, v in values.items() if v is not None and n != "tenant"]
    extensions = {} if tenant is None else {"tenant": tenant}
    stream = http_stream(pairs, attributes={"context_extensions": extensions})
    return Request(headers=stream.request.headers, attributes=stream.attributes)


def _decided(engine: Engine, values: dict[str, str | None]) -> Decision:
    decision = engine.decide(_request(values))
    assert isinstance(decision, Decision)
    in_any_order = tuple(sorted(decision.request_headers, key=lambda change: change.name))
    return replace(decision, validity=None, request_headers=in_any_order)


@settings(deadline=None)
@given(_REQUESTS)
def test_a_cached_decision_is_the_one_that_would_be_made(
    engines: tuple[Engine, Engine], stream: list[dict[str, str | None]]
) -> None:
    """Whatever a rule matches, reads, replaces, removes or appends to."""
    cached, uncached = engines
    for values in stream:
        assert _decided(cached, values) == _decided(uncached, values)


def test_what_no_rule_reads_does_not_keep_decisions_apart(engines: tuple[Engine, Engine]) -> None:
    """A header that is looked for does not make all headers part of the key."""
    cached, _ = engines
    values = dict.fromkeys(["x-go", "x-user", "x-tag", "x-gone", "x-deny", "tenant"])
    for _ in range(2):
        _decided(cached, {":path": "/only-here", **values, "x-other": "1"})
    before = cached.cache.stats.hits
    _decided(cached, {":path": "/only-here", **values, "x-other": "2"})
    assert cached.cache.stats.hits == before + 1
