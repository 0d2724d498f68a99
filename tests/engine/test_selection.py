"""Finding what is for a request among many rules: as if each had been tried."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.attributes import AttributeBag, Duration, Uint
from mixer.cel import (
    ANYHOW,
    AttributeActivation,
    BudgetError,
    Demand,
    EvaluationError,
    Lookup,
    Program,
    Result,
    checked_program,
)
from mixer.engine.selection import ALWAYS, Condition, Ordered, where_true
from mixer.engine.selection.index import Index, _Branch
from mixer.engine.selection.ladder import Ladder

HOST, PATH = Lookup("request.host"), Lookup("request.path")
TENANT = Lookup("request.headers", ("x-tenant",))

# Few letters, so that texts begin and end with one another; and what no rule expects.
TEXTS = st.text("ab/.", max_size=4)
VALUES = TEXTS | st.sampled_from([7, 1.5, True, b"a", Uint(3), Duration(5), {}, {"k": "a"}, ["a"]])
NAMES = st.sampled_from(
    [
        "request.host", "request.path", "request.url_path", "source.principal", "metadata",
        'request.headers["k"]', "request.headers.k", 'metadata["k"].k', "context_extensions.k",
        'request["host"]', "plugin_name", ".request.host",
    ]
)  # fmt: skip


def _quoted(text: str) -> str:
    return f'"{text}"'


LISTS = st.lists(TEXTS.map(_quoted) | st.sampled_from(["1", "request.path"]), max_size=3)
TESTS = st.one_of(
    st.builds("{} == {}".format, NAMES, TEXTS.map(_quoted)),
    st.builds("{} == {}".format, TEXTS.map(_quoted), NAMES),
    st.builds("{} == {}".format, NAMES, NAMES),
    st.builds("{} != {}".format, NAMES, TEXTS.map(_quoted)),
    st.builds("{}.startsWith({})".format, NAMES, TEXTS.map(_quoted)),
    st.builds("{}.endsWith({})".format, NAMES, TEXTS.map(_quoted)),
    st.builds("{}.contains({})".format, NAMES, TEXTS.map(_quoted)),
    st.builds("{} in [{}]".format, NAMES, LISTS.map(", ".join)),
    st.builds("{} == [{}]".format, NAMES, LISTS.map(", ".join)),
    st.builds("{} in request.headers".format, TEXTS.map(_quoted)),
    st.sampled_from(["has(request.host)", "true", "false", "1", "1 / 0 == 1", "request.size > 1"]),
)
EXPRESSIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
    ),
    max_leaves=6,
)
MAPS = st.dictionaries(st.sampled_from(["k", "x"]), VALUES, max_size=2)
BAGS = st.fixed_dictionaries(
    {},
    optional={
        "request.host": VALUES,
        "request.path": VALUES,
        "request.url_path": TEXTS,
        "request.size": st.integers(0, 3),
        "source.principal": TEXTS,
        "request.headers": MAPS,
        "context_extensions": MAPS | st.just("a"),
        "metadata": st.dictionaries(st.just("k"), MAPS) | VALUES,
        "plugin_name": TEXTS,
    },
)


def bag(values: dict[str, Any]) -> AttributeBag:
    """Attributes, absent where they have no value."""
    return AttributeBag({name: lambda s, name=name: s[name] for name in values}, values)


def _is_true(program: Program, attributes: AttributeBag) -> bool:
    try:
        return program.evaluate(AttributeActivation(attributes.get)) is True
    except (EvaluationError, BudgetError):
        return False


@settings(deadline=None, max_examples=300)
@given(st.lists(EXPRESSIONS, max_size=12), st.lists(BAGS, min_size=1, max_size=6))
def test_what_is_found_is_what_trying_each_would_find(
    expressions: list[str], requests: list[dict[str, Any]]
) -> None:
    """Whatever rules say, and whatever of it a request has not, or of another type."""
    programs = [Program(text.encode()) for text in expressions]
    ordered = Ordered([(where_true(p), number) for number, p in enumerate(programs)])
    for values in requests:
        attributes = bag(values)
        expected = [n for n, program in enumerate(programs) if _is_true(program, attributes)]
        assert list(ordered.matching(attributes)) == expected


@settings(deadline=None)
@given(st.sets(st.text("ab", max_size=5), max_size=12), st.text("ab", max_size=7))
def test_a_ladder_has_every_prefix(prefixes: set[str], text: str) -> None:
    """Of a text, the longest first."""
    ladder = Ladder({prefix: prefix for prefix in prefixes})
    expected = sorted((p for p in prefixes if text.startswith(p)), key=len, reverse=True)
    assert list(ladder.of(text)) == expected


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ('request.host == "a"', ({HOST: Demand(exact=frozenset("a"))},)),
        ('"a" == request.host', ({HOST: Demand(exact=frozenset("a"))},)),
        ('request.host in ["a", "b"]', ({HOST: Demand(exact=frozenset("ab"))},)),
        ('request.host.endsWith(".a")', ({HOST: Demand(suffixes=frozenset([".a"]))},)),
        ('request.path.startsWith("/")', ({PATH: Demand(prefixes=frozenset("/"))},)),
        (
            'request.host == "a" || request.host.endsWith("b")',
            ({HOST: Demand(frozenset("a"), suffixes=frozenset("b"))},),
        ),
        (
            'request.host == "a" && request.path.startsWith("/") && request.size > 1',
            ({HOST: Demand(frozenset("a")), PATH: Demand(prefixes=frozenset("/"))},),
        ),
        (
            'request.host == "a" || request.path == "b"',
            ({HOST: Demand(frozenset("a"))}, {PATH: Demand(frozenset("b"))}),
        ),
        ('request.headers["x-tenant"] == "a"', ({TENANT: Demand(frozenset("a"))},)),
        ('request.host == "a" || request.size > 1', ANYHOW),
        ('!(request.host == "a")', ANYHOW),
        ('request.host != "a"', ANYHOW),
        ('request.host == "a" ? true : false', ANYHOW),
        ('[request.host].exists(h, h == "a")', ANYHOW),
        ("has(request.host)", ANYHOW),
        ('metadata["k"] == ["a"]', ANYHOW),
        ('["a"] == metadata["k"]', ANYHOW),
    ],
)
def test_what_is_looked_up(text: str, ways: Any) -> None:
    """Comparisons with constants at the top of an expression; nothing else."""
    assert checked_program(text, Result.BOOL).ways() == ways


def test_many_alternatives_are_not_looked_up() -> None:
    """The index stays as large as what is written."""
    either = " || ".join(f'request.host == "{n}" && request.path == "{n}"' for n in range(17))
    assert Program(either.encode()).ways() == ANYHOW
    both = " && ".join(
        f'(request.host == "{n}" || request.path == "{n}" || request.scheme == "{n}")'
        for n in range(5)
    )
    assert len(Program(both.encode()).ways()) <= 16


def _asked(conditions: Sequence[Condition], **values: Any) -> tuple[list[int], list[str]]:
    """Which conditions may hold, and what was read to tell."""
    read: list[str] = []

    def find(name: str) -> Any:
        read.append(name)
        return values.get(name.replace(".", "_"))

    found = Index([condition.ways for condition in conditions]).candidates(find)
    return list(found), read


def _rules(*texts: str) -> list[Condition]:
    return [where_true(Program(text.encode())) for text in texts]


def test_a_thousand_hosts_are_one_look() -> None:
    """And paths below them are looked at only where there are several."""
    hosts = [f'request.host == "h{n}"' for n in range(1000)]
    assert _asked(_rules(*hosts), request_host="h7") == ([7], ["request.host"])
    paths = [f'request.host == "h7" && request.path.startsWith("/{n}")' for n in range(9)]
    rules = [*_rules(*hosts, *paths), ALWAYS]
    assert _asked(rules, request_host="h7", request_path="/3/x") == (
        [7, 1003, 1009], ["request.host", "request.path"],
    )  # fmt: skip
    assert _asked(rules, request_host="h8", request_path="/3/x") == ([8, 1009], ["request.host"])
    assert _asked(rules) == ([1009], ["request.host"])


def test_lists_at_several_levels_are_no_product() -> None:
    """Where each text of a list leads to the same rules, they have one node below them."""

    def listed(name: str) -> str:
        texts = ", ".join(f'"{name}{number}"' for number in range(100))
        return f"request.{name} in [{texts}]"

    both = f"{listed('host')} && {listed('path')}"
    rules = _rules(*(f'{both} && source.principal == "{number}"' for number in range(5)))
    index = Index([condition.ways for condition in rules])
    assert len(_nodes_of(index)) < 10
    values = {"request.host": "host7", "request.path": "path9", "source.principal": "3"}
    assert list(index.candidates(values.get)) == [3]


def _nodes_of(index: Index) -> set[int]:
    """The nodes of its tree, each once."""
    found: dict[int, Any] = {}
    left: list[Any] = [index._root]
    while left:
        node = left.pop()
        if id(node) not in found:
            found[id(node)] = node
            if isinstance(node, _Branch):
                below = (node.exact.values(), node.prefixes._values, node.suffixes._values)
                left += [*chain(*below), *([] if node.others is None else [node.others])]
    return set(found)


def test_few_rules_are_tried_without_a_look() -> None:
    """An index would cost as much."""
    assert _asked(_rules(*['request.host == "a"'] * 3)) == ([0, 1, 2], [])


def test_rules_that_have_nothing_in_common() -> None:
    """A thousand different headers make no deep tree."""
    texts = [f'request.headers["x-{n}"] == "1"' for n in range(1000)]
    found, _ = _asked(_rules(*texts))
    assert len(found) == 1000
    many = [text for text in texts[:50] for _ in range(20)]
    found, read = _asked(_rules(*many))
    assert len(read) <= 8
    assert len(found) <= 1000
