"""Modules that change bodies and responses: the same over ext_proc as in Envoy's own filter."""

import asyncio
from pathlib import Path

import pytest

from tests.differential.exchange import Seen, through_envoy
from tests.differential.ext_proc_exchange import through_ext_proc
from tests.differential.test_responses import SCENARIOS

REFUSED = ("response", 503)
BROKEN_OFF = ("reset", 0)
DEPARTURES = {
    # Envoy waits for ever where nothing resumes the stream; here that is an error at once.
    "paused-headers": REFUSED,
    "body-paused": BROKEN_OFF,
    "trailers-paused": BROKEN_OFF,
    # ext_proc has no word for closing a stream whose response did not begin.
    "closed": REFUSED,
    "local-broken-off": REFUSED,
}
"""Where the client sees something else, and what."""

NO_TRAILERS = "trailers-made"
"""Over ext_proc a message that came without trailers goes on without them."""


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Every scenario in Envoy's own filter."""
    return asyncio.run(through_envoy(SCENARIOS, tmp_path_factory.mktemp("in-envoy")))


@pytest.fixture(scope="module")
def asked(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Every scenario over ext_proc."""
    return asyncio.run(through_ext_proc(SCENARIOS, tmp_path_factory.mktemp("asked")))


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - DEPARTURES - {NO_TRAILERS}))
def test_scenario(name: str, in_envoy: dict[str, Seen], asked: dict[str, Seen]) -> None:
    """The client sees the same, and the module logs the same."""
    assert asked[name] == in_envoy[name]


@pytest.mark.parametrize("name", DEPARTURES)
def test_departure(name: str, in_envoy: dict[str, Seen], asked: dict[str, Seen]) -> None:
    """Nothing passes that does not in Envoy's own filter; the client is told so at once."""
    assert in_envoy[name].ending in ("pause", "reset")
    assert (asked[name].ending, asked[name].status) == DEPARTURES[name]


def test_trailers_that_a_module_makes(in_envoy: dict[str, Seen], asked: dict[str, Seen]) -> None:
    """They get lost on the way; the module sees no difference."""
    assert in_envoy[NO_TRAILERS].trailers
    assert not asked[NO_TRAILERS].trailers
    assert asked[NO_TRAILERS].lines == in_envoy[NO_TRAILERS].lines
    assert asked[NO_TRAILERS].body == in_envoy[NO_TRAILERS].body
