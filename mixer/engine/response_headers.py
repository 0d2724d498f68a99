"""The property by which a module adds headers to the upstream's response.

A front end such as ext_authz asks only about the request, so a module's response callbacks never
run there. ``mixer.response_header.<name>`` says it beforehand; in Envoy it is a property like any
other, and does nothing.
"""

from collections.abc import Mapping

from mixer.engine.decision import HeaderOperation

_PREFIX = b"mixer.response_header."


def response_headers(filter_state: Mapping[bytes, bytes]) -> tuple[HeaderOperation, ...]:
    """Find them among the properties of a request; path parts may be joined by NUL or a dot."""
    found = []
    for path, value in filter_state.items():
        name = path.replace(b"\0", b".")
        if name.startswith(_PREFIX):
            found.append(HeaderOperation(name.removeprefix(_PREFIX).lower(), value))
    return tuple(found)
