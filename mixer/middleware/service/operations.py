"""What a service has its callers do to headers."""

from collections.abc import Iterable

from mixer.attributes import canonical_name
from mixer.client import HeaderAction, HeaderOperation
from mixer.middleware.values import Pairs


def operated(headers: Pairs, operations: Iterable[HeaderOperation]) -> Pairs:
    """The headers after operations, in their order; the same list where there are none.

    A header that is replaced keeps the place of its first value.
    """
    for one in operations:
        name, value = canonical_name(one.name.encode()), one.value.encode()
        if one.action is HeaderAction.APPEND:
            headers = [*headers, (name, value)]
            continue
        kept = [pair for pair in headers if pair[0] != name]
        if one.action is HeaderAction.REPLACE:
            place = next((i for i, pair in enumerate(headers) if pair[0] == name), len(kept))
            kept.insert(place, (name, value))
        headers = kept
    return headers
