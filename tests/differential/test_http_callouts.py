"""HTTP callouts: what a module sees and what goes out, in Envoy's own filter and here."""

import asyncio
from pathlib import Path

import pytest

from tests.differential.callout_exchange import Seen, here, in_envoy
from tests.differential.callout_scenarios import DIFFERENT, EQUAL

_BOTH = {**EQUAL, **DIFFERENT}


@pytest.fixture(scope="module")
def envoys(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """What came of every scenario in Envoy."""
    return asyncio.run(in_envoy(_BOTH, tmp_path_factory.mktemp("callouts")))


@pytest.mark.parametrize("name", EQUAL)
async def test_a_callout_is_the_same(envoys: dict[str, Seen], name: str) -> None:
    """Status, headers, body, trailers, and the bytes of the request, are equal."""
    ours, theirs = await here(EQUAL[name]), envoys[name]
    assert ours.body_size == theirs.body_size
    if theirs.body is None:
        assert (ours.status, ours.headers) == (theirs.status, theirs.headers)
    elif name == "of-others":
        # x-envoy-internal takes its place anew in Envoy's map of headers.
        assert ours.headers == theirs.headers
        assert [_lines(one) for one in ours.requests] == [_lines(one) for one in theirs.requests]
    else:
        assert ours == theirs


def _lines(request: object) -> list[bytes]:
    assert isinstance(request, tuple)
    return sorted(request[0].split(b"\r\n"))


@pytest.mark.parametrize("name", DIFFERENT)
async def test_a_callout_differs_where_the_docs_say_so(envoys: dict[str, Seen], name: str) -> None:
    """What is listed as different is different."""
    assert await here(DIFFERENT[name]) != envoys[name]


def test_every_difference_is_documented() -> None:
    """The callouts page has a row for each difference."""
    page = (Path(__file__).parents[2] / "docs" / "callouts.md").read_text()
    for name in DIFFERENT:
        assert f"`{name}`" in page
