"""Many properties read together, as they are read one by one."""

from types import MappingProxyType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mixer.attributes import AttributeBag, Message, Uint
from mixer.proxywasm.property_plan import PropertyPlan

LEAVES: Any = st.one_of(
    st.text(max_size=5), st.binary(max_size=5), st.booleans(), st.integers(0, 9), st.none(),
    st.just(Uint(3)),
)  # fmt: skip
KEYS = st.sampled_from(["a", "b", "0"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(KEYS, inner) | st.lists(inner, max_size=2), max_leaves=6
)
NAMES = ("request.path", "request.headers", "source.labels", "mixer.attribute")
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES), VALUES)
PATHS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.lists(KEYS, max_size=3)).map(
        lambda one: "\0".join([*one[0].split("."), *one[1]]).encode()
    ),
    min_size=1,
    max_size=8,
)


@given(PATHS, ATTRIBUTES, st.sets(st.sampled_from(NAMES)))
def test_reading_directly(paths: list[bytes], values: dict[str, Any], phased: set[str]) -> None:
    """What resolvers give directly is what reading each attribute by its name gives."""
    resolvers = {name: lambda given, name=name: given.get(name) for name in NAMES[1:]}
    context = {**values, "phase": True}
    of_phase = {
        name: lambda given, name=name: given["phase"] and given.get(name) for name in phased
    }
    bag = AttributeBag(MappingProxyType(resolvers), values)
    plan = PropertyPlan(paths)

    def by_name(name: str) -> Any:
        return of_phase[name](context) if name in of_phase else bag.get(name)

    assert bag.direct is not None
    directly = plan.read_directly(context, bag.direct, of_phase, lambda _path: None)
    assert directly == plan.read(by_name, lambda _path: None)


def test_tables_of_many_front_ends() -> None:
    """However many tables of resolvers there are, each is heeded."""
    plan = PropertyPlan([b"request\0path"])
    for number in range(100):
        direct = ({"request.path": lambda source, n=number: f"{source}{n}"}, "/")
        found = plan.read_directly(None, direct, {}, lambda _path: None)
        assert found == [f"/{number}".encode()]


def test_a_message_in_a_message() -> None:
    """Keys lead through messages, and what has no value has none."""
    paths = [b"xds\0node\0a\0b", b"xds\0node\0a\0c", b"xds\0node\0gone", b"xds\0node"]
    node = Message(b"\x01", {"a": {"b": "x"}})
    found = PropertyPlan(paths).read(lambda _name: node, lambda _path: None)
    assert found == [b"x", None, None, b"\x01"]
