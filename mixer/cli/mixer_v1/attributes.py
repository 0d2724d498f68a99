"""The attributes and quotas of a request, from flags and a file; no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mixer.attributes import Manifest, Value, ValueType
from mixer.cli.mixer_v1 import syntax
from mixer.cli.mixer_v1.syntax import Syntax, shown


class InputError(ValueError):
    """A flag or a file cannot be used; the message says which, and what to write."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that takes ``name=value,name=value``.

    Attributes:
        name: As it is written on the command line.
        syntax: Of its values.
    """

    name: str
    syntax: Syntax


QUOTAS = Flag("--quotas", syntax.INT64)
ATTRIBUTES: Mapping[str, Flag] = {
    "string_attributes": Flag("--string_attributes", syntax.STRING),
    "int64_attributes": Flag("--int64_attributes", syntax.INT64),
    "double_attributes": Flag("--double_attributes", syntax.DOUBLE),
    "bool_attributes": Flag("--bool_attributes", syntax.BOOL),
    "timestamp_attributes": Flag("--timestamp_attributes", syntax.TIMESTAMP),
    "duration_attributes": Flag("--duration_attributes", syntax.DURATION),
    "bytes_attributes": Flag("--bytes_attributes", syntax.BYTES),
    "stringmap_attributes": Flag("--stringmap_attributes", syntax.STRING_MAP),
    "attributes": Flag("--attributes", syntax.AUTO),
}
"""By their names in a file."""


def parse_attributes(given: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """Read the attributes of all flags.

    Args:
        given: What each flag of `ATTRIBUTES` was given, as often as it was.

    Raises:
        InputError: A value cannot be read, or a name is given twice.
    """
    found: dict[str, Value] = {}
    for key, flag in ATTRIBUTES.items():
        for name, value in _pairs(flag, given.get(key, ())):
            if name in found:
                raise InputError(f"{flag.name}: attribute {shown(name)} is given twice")
            found[name] = value
    return found


def parse_quotas(texts: Sequence[str]) -> dict[str, int]:
    """Read the amounts that are asked for, by quota.

    Raises:
        InputError: An amount cannot be read, or a name is given twice.
    """
    found: dict[str, int] = {}
    for name, amount in _pairs(QUOTAS, texts):
        if name in found:
            raise InputError(f"{QUOTAS.name}: quota {shown(name)} is given twice")
        assert isinstance(amount, int)
        found[name] = amount
    return found


def _pairs(flag: Flag, texts: Sequence[str]) -> Iterator[tuple[str, Value]]:
    for text in filter(None, texts):
        for pair in text.split(","):
            yield _pair(flag, pair)


def _pair(flag: Flag, text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{flag.name} {shown(text)}: write NAME=VALUE, with commas in between")
    try:
        return str(syntax.STRING.read(name)), flag.syntax.read(value)
    except ValueError as error:
        raise InputError(f"{flag.name} {shown(name)}: {error}") from None


_FLAG_OF = {
    ValueType.INT64: "--int64_attributes",
    ValueType.DOUBLE: "--double_attributes",
    ValueType.BOOL: "--bool_attributes",
    ValueType.TIMESTAMP: "--timestamp_attributes",
    ValueType.DURATION: "--duration_attributes",
    ValueType.IP_ADDRESS: "--bytes_attributes",
    ValueType.STRING_MAP: "--stringmap_attributes",
}


def type_notes(attributes: Mapping[str, Value]) -> Iterator[str]:
    """Say which attributes are not of the type that Istio declares, and what to write.

    They can be sent all the same: how a Mixer takes them may be what is to be seen.
    """
    for wrong in sorted(Manifest().admit(attributes)[1]):
        flag = _FLAG_OF.get(wrong.wanted, "--string_attributes")
        yield f"{wrong.name} is sent as {wrong.given}, Istio declares {wrong.wanted}: see {flag}"
