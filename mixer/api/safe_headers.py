"""Which headers can be handed to a proxy: Envoy writes those of a local response as they are."""

import re

_NAME = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\r\n\0]")


def is_safe(name: bytes, value: bytes) -> bool:
    """Whether a header can do no more than be one header."""
    return bool(_NAME.fullmatch(name)) and not _CONTROL.search(value)
