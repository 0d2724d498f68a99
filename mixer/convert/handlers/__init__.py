"""One module for each adapter of Mixer that is carried over."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mixer.convert.handlers import denier, listchecker, memquota, prometheus, redisquota, stdio
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.workshop import Use, Workshop

Convert = Callable[[Part, list[Use], Workshop], list[Output]]

HANDLERS: Mapping[str, Convert] = MappingProxyType(
    {
        "denier": denier.convert,
        "listchecker": listchecker.convert,
        "memquota": memquota.convert,
        "redisquota": redisquota.convert,
        "stdio": stdio.convert,
        "prometheus": prometheus.convert,
    }
)
"""By the name of the adapter."""
