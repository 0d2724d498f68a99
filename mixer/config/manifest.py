"""Attributes that callers of Mixer send beyond those of Istio."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator

from mixer.attributes import ISTIO_VOCABULARY, ValueType
from mixer.config.model import Choice

MOST_NAMES = 1024
_NAME = re.compile(r"[a-z0-9]+([._-][A-Za-z0-9]+)*")
_LONGEST_NAME = 253


def _check(manifest: Mapping[str, ValueType]) -> Mapping[str, ValueType]:
    if len(manifest) > MOST_NAMES:
        raise ValueError(f"must have at most {MOST_NAMES} names, not {len(manifest)}")
    for name, kind in manifest.items():
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name: letters and digits, with '.', '_' or '-' between them, "
                f"at most {_LONGEST_NAME} characters"
            )
        known = ISTIO_VOCABULARY.get(name, kind)
        if known is not kind:
            raise ValueError(f"{name} is an attribute of Istio, and its type is {known}")
    return MappingProxyType(dict(manifest))


AttributeManifest = Annotated[Mapping[str, Choice[ValueType]], AfterValidator(_check)]


def no_attributes() -> Mapping[str, ValueType]:
    """Default of an ``AttributeManifest``."""
    return MappingProxyType({})
