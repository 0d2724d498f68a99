"""A server whose answers are a function of the attributes that it says they follow from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from mixer.attributes import Duration, Timestamp
from mixer.wire import mixer_v1_pb2 as pb
from tests.client.answers import ABSENCE, EXACT, Reference, answer

NAMES = ("source.ip", "request.path", "own.name", "request.headers", "labels")
KEYS = ("source.ip", "path", "x")

_SCALARS = (
    "", "1", "a", b"", b"1", True, False, 0, 1, -1, 0.0, -0.0, 1.0, float("nan"),
    Timestamp(0), Timestamp(1), Duration(0), Duration(1), Duration(-1),
)  # fmt: skip

texts = st.sampled_from(["", "1", "a", "b"])
values = st.one_of(
    st.sampled_from(_SCALARS), st.dictionaries(st.sampled_from(KEYS), texts, max_size=3)
)
requests = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)


def told_apart(value: Any) -> str:
    """A text that differs wherever two values differ."""
    if isinstance(value, Mapping):
        return repr(sorted(value.items()))
    return f"{type(value).__name__} {value!r}"


@dataclass(frozen=True)
class Node:
    """Looks one thing up, and goes on where its value leads.

    Attributes:
        name: Of the attribute.
        key: Of an entry of it, or None.
        branches: Where to: by the value, and by chance where there are fewer branches than values.
    """

    name: str
    key: str | None
    branches: tuple[Any, ...]


trees = st.recursive(
    st.integers(0, 9),
    lambda inner: st.builds(
        Node,
        st.sampled_from(NAMES),
        st.none() | st.sampled_from(KEYS),
        st.tuples(inner, inner, inner),
    ),
    max_leaves=12,
)


@dataclass
class ModelServer:
    """Answers by a tree.

    Attributes:
        tree: What it looks up, in which order.
        seconds: How long its answers hold.
        uses: How often they may be used.
    """

    tree: Any = 0
    seconds: float = 10.0
    uses: int = -1
    asked: int = field(default=0)

    def answer(self, request: Mapping[str, Any]) -> pb.CheckResponse:
        """What Check answers."""
        self.asked += 1
        references: list[Reference] = []
        code = decide(self.tree, request, references)
        return answer(references, code, f"is {code}", self.seconds, self.uses)


def decide(tree: Any, request: Mapping[str, Any], references: list[Reference]) -> int:
    """The code of the answer; what it follows from is added to the references."""
    while isinstance(tree, Node):
        reference, value = _looked_up(tree, request)
        references.append(reference)
        tree = tree.branches[sum(value.encode()) % len(tree.branches)]
    return int(tree)


def _looked_up(node: Node, request: Mapping[str, Any]) -> tuple[Reference, str]:
    value = request.get(node.name)
    if value is None:
        return (node.name, None, ABSENCE), "absent"
    if node.key is None or not isinstance(value, Mapping):
        return (node.name, None, EXACT), told_apart(value)
    if node.key in value:
        return (node.name, node.key, EXACT), "there " + value[node.key]
    return (node.name, node.key, ABSENCE), "lacks"
