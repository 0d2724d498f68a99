"""``==`` and ``!=``: by value in CEL, by rules of their own for addresses and names in Mixer."""

import ipaddress
from collections.abc import Callable

from mixer.attributes import ValueType
from mixer.convert.cexl import patterns
from mixer.convert.cexl.cel import Cel, added, compared, either, octets
from mixer.convert.cexl.errors import at
from mixer.convert.cexl.nodes import Call, Constant, Node

Translate = Callable[[Node], Cel]

V4_IN_V6 = bytes(10) + b"\xff\xff"
"""What an IPv4 address begins with where it is written as an IPv6 address."""

_V4_BYTES = 4

_NAMES: dict[ValueType, tuple[str, Callable[[str], str]]] = {
    ValueType.DNS_NAME: ("dnsName", patterns.dns_name),
    ValueType.EMAIL_ADDRESS: ("email", patterns.email),
    ValueType.URI: ("uri", patterns.uri),
}


def equal(call: Call, translate: Translate) -> Cel:
    """``left == right``, of operands of one type.

    Raises:
        CexlError: CEL cannot compare them as Mixer does.
    """
    left, right = call.arguments
    if left.type is ValueType.IP_ADDRESS:
        return _equal_addresses(left, right, translate)
    if left.type in _NAMES:
        return _equal_names(call, *_NAMES[left.type], translate)
    for one, other in ((left, right), (right, left)):
        if lowered(one) and isinstance(other, Constant):
            pattern = patterns.ignoring_case(str(other.value))
            return patterns.fits(translate(inside(one)), pattern)
    return compared(translate(left), "==", translate(right))


def lowered(node: Node) -> bool:
    """Whether it is `toLower()` of something."""
    return isinstance(node, Call) and node.name == "toLower"


def inside(node: Node) -> Node:
    """The one argument of a function."""
    assert isinstance(node, Call)
    return node.arguments[0]


def address(call: Call) -> bytes:
    """The bytes of ``ip("1.2.3.4")``: 4 or 16.

    Raises:
        CexlError: It is no address, or not known before it runs.
    """
    argument = call.arguments[0]
    if not isinstance(argument, Constant):
        raise at(call.position, "CEL cannot read an address from a text: ip() of a constant only")
    try:
        one = ipaddress.ip_address(str(argument.value))
    except ValueError:
        raise at(argument.position, "this is no IP address") from None
    mapped = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) else None
    return (mapped or one).packed


def constant_address(node: Node) -> bytes | None:
    """The bytes of a constant address, or None."""
    return address(node) if isinstance(node, Call) and node.name == "ip" else None


def _equal_addresses(left: Node, right: Node, translate: Translate) -> Cel:
    for one, other in ((left, right), (right, left)):
        known = constant_address(other)
        if known is not None:
            return _is_address(translate(one), known)
    a, b, prefix = translate(left), translate(right), octets(V4_IN_V6)
    same = compared(a, "==", b)
    return either(
        either(same, compared(added(prefix, a), "==", b)), compared(added(prefix, b), "==", a)
    )


def _is_address(subject: Cel, known: bytes) -> Cel:
    """A proxy tells an IPv4 address in 4 bytes or in 16."""
    if len(known) != _V4_BYTES:
        return compared(subject, "==", octets(known))
    forms = f"[{octets(known).text}, {octets(V4_IN_V6 + known).text}]"
    return compared(subject, "in", Cel(forms))


def _equal_names(
    call: Call, function: str, pattern: Callable[[str], str], translate: Translate
) -> Cel:
    for one, other in (call.arguments, call.arguments[::-1]):
        if isinstance(other, Call) and other.name == function:
            argument = other.arguments[0]
            if isinstance(argument, Constant):
                return patterns.fits(translate(one), pattern(str(argument.value)))
    kind = call.arguments[0].type
    raise at(call.position, f"CEL can compare a {kind} with {function}() of a constant only")
