"""What the models of all kinds share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

_Item = TypeVar("_Item")
_Choice = TypeVar("_Choice")

# pydantic's strict mode takes only tuples for tuples and only members for enums, and YAML has
# neither; what is inside them stays strict.
Items = Annotated[tuple[_Item, ...], Field(strict=False)]
Choice = Annotated[_Choice, Field(strict=False)]

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Origin:
    """What relative paths and environment variables of a document refer to.

    Attributes:
        base: Absolute folder of the file.
        environ: Of the process.
    """

    base: Path
    environ: Mapping[str, str]


class Model(BaseModel):
    """A mapping of the configuration; fields are camelCase there and snake_case here."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        """Do as the Kubernetes API does, where ``priority: null`` is no priority."""
        if not isinstance(data, dict):
            return data
        known = {one.alias for one in cls.model_fields.values()}
        return {k: v for k, v in data.items() if v is not None or k not in known}


def dns_label(text: str) -> str:
    """Check a DNS-1123 label: at most 63 of ``a-z 0-9 -``, no ``-`` at the ends.

    Raises:
        ValueError: It is none.
    """
    if not _LABEL.fullmatch(text):
        raise ValueError("must be a DNS label: at most 63 of a-z, 0-9 and '-', no '-' at the ends")
    return text


def dns_subdomain(text: str) -> str:
    """Check a DNS-1123 subdomain: labels with dots between them, at most 253 characters.

    Raises:
        ValueError: It is none.
    """
    if len(text) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, text.split("."))):
        raise ValueError("must be a DNS name: a-z, 0-9, '-' and '.', at most 253 characters")
    return text


def printable(text: str) -> str:
    """Refuse control characters, which no path and no address may have.

    Raises:
        ValueError: There is one.
    """
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


DnsLabel = Annotated[str, AfterValidator(dns_label)]
DnsSubdomain = Annotated[str, AfterValidator(dns_subdomain)]
StringMap = Annotated[Mapping[str, str], AfterValidator(MappingProxyType)]


def no_strings() -> Mapping[str, str]:
    """Default of a ``StringMap``."""
    return MappingProxyType({})
