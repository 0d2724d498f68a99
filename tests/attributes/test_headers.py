"""Header maps, as Envoy's behave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mixer.attributes import HeaderChange, HeaderMap, Pair, PairSource

NAMES = st.sampled_from([b":path", b"x-a", b"X-A", b"x-b", b"host", b"Host", b":authority", b""])
VALUES = st.sampled_from([b"", b"1", b"2", b"a,b", b"\xff"])
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


def headers(*pairs: tuple[str, str]) -> HeaderMap:
    return HeaderMap.of(*pairs)


def test_names_are_compared_in_lower_case() -> None:
    """A header is found, replaced and removed under any spelling of its name."""
    map_ = headers(("X-Token", "1"))
    assert map_.first(b"x-tOKEN") == b"1"
    map_.replace(b"X-TOKEN", b"2")
    assert map_.pairs() == [(b"x-token", b"2")]
    map_.remove(b"X-Token")
    assert map_.count() == 0


def test_host_is_the_authority() -> None:
    """``host`` and ``:authority`` are one header, for every operation."""
    map_ = headers((":authority", "a.example"))
    assert map_.first(b"host") == b"a.example"
    assert map_.all(b"Host") == (b"a.example",)
    map_.replace(b"host", b"b.example")
    assert map_.pairs() == [(b":authority", b"b.example")]
    map_.remove(b"host")
    map_.add(b"Host", b"c.example")
    assert map_.pairs() == [(b":authority", b"c.example")]
    map_.set_all([(b"host", b"d.example")])
    assert map_.first(b":authority") == b"d.example"


def test_host_of_the_source_is_the_authority() -> None:
    """A source that has ``host`` is read like one that has ``:authority``."""
    map_ = headers(("Host", "a.example"))
    assert (map_.first(b"host"), map_.first(b":authority")) == (b"a.example", b"a.example")
    assert dict(map_) == {":authority": "a.example"}


def test_first_of_several_values() -> None:
    """Of several values the first one is found, and all are kept in order."""
    map_ = headers(("x", "1"), ("y", "-"), ("x", "2"))
    assert (map_.first(b"x"), map_.all(b"x"), map_.count()) == (b"1", (b"1", b"2"), 3)
    assert map_.first(b"z") is None
    assert map_.all(b"z") == ()


def test_add_keeps_the_values_before() -> None:
    """Adding appends at the end."""
    map_ = headers(("x", "1"), ("y", "-"))
    map_.add(b"X", b"2")
    assert map_.pairs() == [(b"x", b"1"), (b"y", b"-"), (b"x", b"2")]


def test_replace_collapses_all_values_in_the_place_of_the_first() -> None:
    """Replacing leaves one value where the first one was, and appends a header that was absent."""
    map_ = headers(("a", "-"), ("x", "1"), ("y", "-"), ("x", "2"))
    map_.replace(b"x", b"3")
    map_.replace(b"new", b"4")
    assert map_.pairs() == [(b"a", b"-"), (b"x", b"3"), (b"y", b"-"), (b"new", b"4")]


def test_remove_takes_every_value() -> None:
    """Removing takes all values of a name, and a missing header is fine."""
    map_ = headers(("x", "1"), ("y", "-"), ("x", "2"))
    map_.remove(b"x")
    map_.remove(b"none")
    assert map_.pairs() == [(b"y", b"-")]


def test_header_that_was_removed_comes_back_at_the_end() -> None:
    """A header that was removed and set again has lost its place, whichever call sets it."""
    for set_again in (HeaderMap.add, HeaderMap.replace):
        map_ = headers(("x", "1"), ("y", "2"))
        map_.remove(b"x")
        set_again(map_, b"x", b"3")
        assert map_.pairs() == [(b"y", b"2"), (b"x", b"3")]


def test_set_all_keeps_order_and_duplicates() -> None:
    """The whole map can be replaced; names become lower case, and duplicates stay."""
    map_ = headers(("gone", "1"))
    map_.set_all([(b"B", b"1"), (b"a", b"2"), (b"b", b"3")])
    assert map_.pairs() == [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]


def test_byte_size_counts_names_and_values() -> None:
    """The size of a map is the bytes of its names and values alone."""
    map_ = headers(("ab", "cde"), ("f", ""))
    assert map_.byte_size() == 6


def test_mapping_joins_the_values_of_a_name() -> None:
    """As a mapping, a name has all its values, joined with a comma."""
    map_ = headers(("x", "1"), ("y", "-"), ("X", "2"))
    assert dict(map_) == {"x": "1,2", "y": "-"}
    assert (len(map_), map_["X"], "none" in map_, map_.get("none")) == (2, "1,2", False, None)
    with pytest.raises(KeyError):
        map_["none"]


@given(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=5))
def test_mapping_holds_for_any_bytes(pairs: list[Pair]) -> None:
    """Every name that a map tells has a value, whatever bytes the headers are made of."""
    map_ = HeaderMap(PairSource(pairs))
    assert all(isinstance(map_[name], str) for name in map_)


def test_nothing_changed() -> None:
    """A map that was only read, or changed back, has no changes."""
    map_ = headers(("x", "1"), ("y", "2"))
    assert map_.first(b"x") == b"1"
    assert map_.changes() == ()
    map_.remove(b"x")
    map_.add(b"x", b"1")
    assert map_.changes() == ()


def test_changes_tell_all_values_of_what_differs() -> None:
    """A change has every value that a header has now, and none where it was removed."""
    map_ = headers(("keep", "1"), ("more", "1"), ("other", "1"), ("gone", "1"))
    map_.add(b"more", b"2")
    map_.replace(b"other", b"2")
    map_.remove(b"gone")
    map_.remove(b"never there")
    map_.add(b"new", b"1")
    map_.replace(b"keep", b"1")
    assert set(map_.changes()) == {
        HeaderChange(b"more", (b"1", b"2")),
        HeaderChange(b"other", (b"2",)),
        HeaderChange(b"gone", ()),
        HeaderChange(b"new", (b"1",)),
    }


def grouped(pairs: list[Pair]) -> dict[bytes, list[bytes]]:
    groups: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def applied(original: list[Pair], changes: tuple[HeaderChange, ...]) -> dict[bytes, list[bytes]]:
    """What a proxy has that is told to set or to remove."""
    groups = grouped(original)
    for change in changes:
        if change.values:
            groups[change.name] = list(change.values)
        else:
            del groups[change.name]
    return groups


class Changes(RuleBasedStateMachine):
    """Any series of changes, seen by a simple model and by a proxy that applies them."""

    def __init__(self) -> None:
        super().__init__()
        self.original: list[Pair] = [(b":path", b"/"), (b"x-a", b"1"), (b"x-a", b"2")]
        self.map = HeaderMap(PairSource(self.original))
        self.model = list(self.original)

    @staticmethod
    def canonical(name: bytes) -> bytes:
        name = name.lower()
        return b":authority" if name == b"host" else name

    @rule(name=NAMES, value=VALUES)
    def add(self, name: bytes, value: bytes) -> None:
        self.map.add(name, value)
        self.model.append((self.canonical(name), value))

    @rule(name=NAMES, value=VALUES)
    def replace(self, name: bytes, value: bytes) -> None:
        self.map.replace(name, value)
        name = self.canonical(name)
        places = [i for i, (n, _) in enumerate(self.model) if n == name]
        if places:
            self.model[places[0]] = (name, value)
            self.model = [p for i, p in enumerate(self.model) if i not in places[1:]]
        else:
            self.model.append((name, value))

    @rule(name=NAMES)
    def remove(self, name: bytes) -> None:
        self.map.remove(name)
        self.model = [p for p in self.model if p[0] != self.canonical(name)]

    @rule(pairs=PAIRS)
    def set_all(self, pairs: list[Pair]) -> None:
        self.map.set_all(pairs)
        self.model = [(self.canonical(n), v) for n, v in pairs]

    @rule(name=NAMES)
    def look(self, name: bytes) -> None:
        values = tuple(v for n, v in self.model if n == self.canonical(name))
        assert self.map.all(name) == values
        assert self.map.first(name) == (values[0] if values else None)

    @rule()
    def read_all(self) -> None:
        assert self.map.pairs() == self.model
        assert self.map.count() == len(self.model)
        assert self.map.byte_size() == sum(len(n) + len(v) for n, v in self.model)

    @invariant()
    def changes_lead_from_the_original_to_the_map(self) -> None:
        changes = self.map.changes()
        assert applied(self.original, changes) == grouped(self.model)
        assert len({c.name for c in changes}) == len(changes)


TestChanges = Changes.TestCase


class CountingSource:
    """A source that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def first(self, name: bytes) -> bytes | None:
        self.asked.append(f"first {name.decode()}")
        return b"1" if name == b"x" else None

    def all(self, name: bytes) -> tuple[bytes, ...]:
        self.asked.append(f"all {name.decode()}")
        return (b"1",) if name == b"x" else ()

    def pairs(self) -> list[Pair]:
        self.asked.append("pairs")
        return [(b"x", b"1")]

    def count(self) -> int:
        self.asked.append("count")
        return 1


def test_source_is_not_asked_for_more_than_is_read() -> None:
    """One header and the number of headers are read without decoding them all."""
    source = CountingSource()
    map_ = HeaderMap(source)
    assert source.asked == []
    assert (map_.first(b"X"), map_.first(b"host"), map_.count()) == (b"1", None, 1)
    assert map_.changes() == ()
    assert source.asked == ["first x", "first :authority", "count"]


def test_simple_changes_do_not_decode_the_source() -> None:
    """Replacing, removing and adding a new header ask for nothing but that header."""
    source = CountingSource()
    map_ = HeaderMap(source)
    map_.add(b"y", b"2")
    map_.replace(b"x", b"3")
    map_.remove(b"z")
    assert (map_.first(b"y"), map_.first(b"x"), map_.all(b"x")) == (b"2", b"3", (b"3",))
    assert set(map_.changes()) == {HeaderChange(b"y", (b"2",)), HeaderChange(b"x", (b"3",))}
    assert not {"pairs", "count"} & set(source.asked)


def test_source_given_as_pairs_is_not_changed() -> None:
    """The list that a map was made of stays as it was."""
    pairs = [(b"x", b"1")]
    map_ = HeaderMap(PairSource(pairs))
    map_.add(b"y", b"2")
    map_.remove(b"x")
    assert pairs == [(b"x", b"1")]
