"""The foreign functions: what ``proxy_call_foreign_function`` can call, by name.

One file for each topic; each ends with the table of its functions.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mixer.proxywasm.foreign import (
    compression,
    declared,
    envoy_state,
    expressions,
    higress,
    metrics,
    properties,
    quota,
    routing,
    signing,
)
from mixer.proxywasm.foreign.function import ForeignFunction

FOREIGN_FUNCTIONS: Mapping[str, ForeignFunction] = MappingProxyType(
    {
        name: function
        for topic in (
            compression, declared, envoy_state, expressions, higress, metrics, properties, quota,
            routing, signing,
        )
        for name, function in topic.FUNCTIONS.items()
    }
)  # fmt: skip
"""Envoy's, Higress's, and the service's own."""

__all__ = ["FOREIGN_FUNCTIONS", "ForeignFunction"]
