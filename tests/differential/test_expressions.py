"""CEL: an expression has the same value, or fails alike, in Envoy's Wasm filter and here."""

import asyncio
from pathlib import Path

import pytest

from tests.differential.exchange import Message, Scenario, Seen, through_envoy, through_the_runner
from tests.differential.scripted_exchange import evaluated, put

_FILE = Path(__file__).with_name("expressions.txt")
EXPRESSIONS = [*_FILE.read_text().splitlines(), "", "// a comment\n1"]

# What this host does otherwise, with the reason; docs/proxy-wasm.md has them too.
DIFFERENT = {
    "messages are not made": ["google.protobuf.Duration{seconds:1}", "google.protobuf.Struct{}"],
    "times end with the years 1 and 9999": [
        "timestamp('10000-01-01T00:00:00Z')",
        "(timestamp('9999-12-31T23:59:59Z') + duration('1s')).getFullYear()",
    ],
    "the size of an expression is bounded": ["'" + "x" * 5000 + "' == ''"],
    "what an expression takes is bounded": [
        "['x']" + "".join(f".map(a{n}, a{n} + a{n})" for n in range(20)) + "[0].size()",
    ],
}  # fmt: skip

REQUEST = Message(headers=(("x-a", "1"),))
ALIKE = Scenario(
    {"request_headers": [put(b"v", "set"), *map(evaluated, EXPRESSIONS)]}, request=REQUEST
)
UNLIKE = Scenario(
    {"request_headers": [evaluated(e) for group in DIFFERENT.values() for e in group]}
)
SCENARIOS = {"alike": ALIKE, "unlike": UNLIKE}


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Every expression in Envoy's own filter."""
    return asyncio.run(through_envoy(SCENARIOS, tmp_path_factory.mktemp("expressions")))


def told(seen: Seen) -> list[str]:
    """The statuses and the value of each expression."""
    return [line for line in seen.lines if line.startswith("cel ")]


def test_expressions(in_envoy: dict[str, Seen]) -> None:
    """Each has the same value, or none."""
    expected = told(in_envoy["alike"])
    assert len(expected) == len(EXPRESSIONS)
    assert told(through_the_runner(ALIKE, "alike")) == expected


def test_what_differs_does(in_envoy: dict[str, Seen]) -> None:
    """A difference that is gone is taken out of the table."""
    here, there = told(through_the_runner(UNLIKE, "unlike")), told(in_envoy["unlike"])
    assert len(here) == len(there) == sum(map(len, DIFFERENT.values()))
    assert all(one != other for one, other in zip(here, there, strict=True))
