"""Operations on the upstream's response, as a CheckResponse says them."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.ext_authz.errors import InexpressibleError
from mixer.api.ext_authz.response_operations import net_operations
from mixer.engine import HeaderOperation, Operation

REPLACE, REMOVE, APPEND = Operation.REPLACE, Operation.REMOVE, Operation.APPEND

_NAMES = st.sampled_from([b"x-a", b"x-b"])
_VALUES = st.sampled_from([b"1", b"2", b"3"])
_KINDS = st.sampled_from([REPLACE, REMOVE, APPEND])
_OPERATIONS = st.lists(
    st.builds(
        lambda name, value, kind: HeaderOperation(name, b"" if kind is REMOVE else value, kind),
        _NAMES,
        _VALUES,
        _KINDS,
    ),
    max_size=8,
)
_UPSTREAM = st.dictionaries(_NAMES, st.lists(_VALUES, min_size=1, max_size=2))

Headers = dict[bytes, list[bytes]]


def _naive(upstream: Headers, operations: Iterable[HeaderOperation]) -> Headers:
    headers = {name: list(values) for name, values in upstream.items()}
    for one in operations:
        kept = headers.get(one.name, []) if one.operation is APPEND else []
        headers[one.name] = kept if one.operation is REMOVE else [*kept, one.value]
    return headers


def _as_envoy(upstream: Headers, operations: Iterable[HeaderOperation]) -> Headers:
    """All additions, then all replacements."""
    said = list(operations)
    assert {one.operation for one in said} <= {APPEND, REPLACE}
    order = (APPEND, REPLACE)
    return _naive(upstream, sorted(said, key=lambda one: order.index(one.operation)))


def _joined(headers: Headers) -> dict[bytes, bytes]:
    return {name: b",".join(values) for name, values in headers.items() if values}


@given(_UPSTREAM, _OPERATIONS)
def test_the_effect_is_that_of_the_operations_in_their_order(
    upstream: Headers, operations: list[HeaderOperation]
) -> None:
    """In whichever order Envoy makes them; only what leaves a header removed cannot be said."""
    expected = _naive(upstream, operations)
    try:
        said = list(net_operations(operations))
    except InexpressibleError:
        touched = {one.name for one in operations}
        assert any(not expected[name] for name in touched)
        return
    assert _joined(_as_envoy(upstream, said)) == _joined(expected)


def test_cookies_are_never_joined() -> None:
    """Each is added by itself; to replace those of the upstream by several cannot be said."""
    added = [HeaderOperation(b"set-cookie", value, APPEND) for value in (b"a=1", b"b=2")]
    assert list(net_operations(added)) == added
    with pytest.raises(InexpressibleError, match="set-cookie"):
        list(net_operations([HeaderOperation(b"set-cookie", b"c=3"), *added]))
