"""The quota adapter against the plainest account of its limits, over random ones and requests."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.testing import Host, Outcome, Plugin
from tests.adapters.counting import WAYS, count_by
from tests.adapters.quota_model import Model, ModelLimit

_STEP = 64
"""Parts of a second in which clocks move: what a float has exactly."""


@pytest.fixture(params=WAYS)
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose plugins count in one way or the other."""
    count_by(request.param, monkeypatch)
    with Host() as one:
        yield one


@st.composite
def quotas(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some quotas, as they are configured."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        algorithm = draw(st.sampled_from(["FIXED_WINDOW", "SLIDING_WINDOW", "TOKEN_BUCKET"]))
        quota: dict[str, Any] = {
            "name": f"q{number}",
            "max": draw(st.integers(1, 9)),
            "window": f"{draw(st.sampled_from([250, 1000, 3000, 7000]))}ms",
            "algorithm": algorithm,
            "shadow": draw(st.booleans()),
            "cost": "int(request.headers['x-cost'])",
        }
        if algorithm != "FIXED_WINDOW" and draw(st.booleans()):
            quota["burst"] = draw(st.integers(1, 12))
        found.append(quota)
    return found


STEPS = st.lists(st.tuples(st.integers(0, 4 * _STEP), st.integers(0, 10)), min_size=1, max_size=25)


def model_of(quotas: list[dict[str, Any]]) -> Model:
    """The same limits."""
    return Model([
        ModelLimit(
            one["name"],
            one["max"],
            Fraction(int(one["window"][:-2]), 1000),
            None if one["algorithm"] == "FIXED_WINDOW" else one.get("burst", one["max"]),
            one["shadow"],
        )
        for one in quotas
    ])  # fmt: skip


def told(plugin: Plugin, cost: int) -> dict[str, str]:
    """What a request is told of the limits."""
    stream = plugin.request({"x-cost": str(cost)})
    if stream.outcome is Outcome.CONTINUE:
        found = stream.properties.get(b"mixer.response_header.ratelimit")
        return {} if found is None else {"ratelimit": found.decode()}
    assert stream.local_response is not None
    headers = {n.decode(): v.decode() for n, v in stream.local_response.headers}
    return {name: headers[name] for name in ("ratelimit", "retry-after") if name in headers}


def test_random_requests_are_answered_as_the_model_says(host: Host) -> None:
    """Who passes, what is left, when all is there again, and when to come again."""

    @settings(max_examples=80, deadline=None)
    @given(quotas(), STEPS)
    def hold(configured: list[dict[str, Any]], steps: list[tuple[int, int]]) -> None:
        model = model_of(configured)
        configuration = {"quotas": configured, "rateLimitHeaders": True}
        plugin = host.load("builtin://quota", configuration, vm_id=f"run-{next(runs)}")
        for parts, cost in steps:
            host.advance(parts / _STEP)
            model.advance(Fraction(parts, _STEP))
            assert told(plugin, cost) == model.ask(cost)
        plugin.close()

    runs = iter(range(1 << 30))
    hold()
