"""Operations on the upstream's response, as the options of a CheckResponse say them.

Envoy makes all additions before all replacements, whatever their order is, and knows no removal. So
what several operations make of one name is worked out beforehand: values that join those of the
upstream, or values that take their place.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mixer.api.ext_authz.errors import InexpressibleError
from mixer.engine import HeaderOperation, Operation

_ONE_EACH = b"set-cookie"
"""The header whose values cannot be joined: RFC 9110, section 5.3."""


@dataclass(slots=True)
class _Net:
    """What the operations so far make of one name."""

    replaces: bool = False
    values: list[bytes] = field(default_factory=list)


def net_operations(operations: Iterable[HeaderOperation]) -> Iterator[HeaderOperation]:
    """The same effect in operations whose order does not matter, none of them a removal.

    Raises:
        InexpressibleError: A header is removed, or gets several values that cannot be joined.
    """
    for name, net in _by_name(operations).items():
        if not net.replaces:
            yield from (HeaderOperation(name, value, Operation.APPEND) for value in net.values)
        elif not net.values:
            raise InexpressibleError("removing_a_response_header_is_not_possible_with_ext_authz")
        elif name == _ONE_EACH and len(net.values) > 1:
            raise InexpressibleError("replacing_set-cookie_twice_is_not_possible_with_ext_authz")
        else:
            yield HeaderOperation(name, b",".join(net.values))


def _by_name(operations: Iterable[HeaderOperation]) -> dict[bytes, _Net]:
    nets: dict[bytes, _Net] = {}
    for one in operations:
        net = nets.setdefault(one.name, _Net())
        if one.operation is not Operation.APPEND:
            net.replaces = True
            net.values.clear()
        if one.operation is not Operation.REMOVE:
            net.values.append(one.value)
    return nets
