"""``spec.listeners[].http``: what a listener with ``protocol: HTTP`` takes on, and from whom."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from mixer.config.model import Items, Model
from mixer.config.units import duration_between, quantity_between

UNIX_CALLER = "unix"
"""Among ``trustedCallers``: whoever may connect to the listener's Unix socket."""

_MOST_CALLERS = 256

HeaderBytes = Annotated[int, BeforeValidator(quantity_between("1Ki", "256Ki"))]
IdleTimeout = Annotated[float, BeforeValidator(duration_between("1s", "1h"))]


def _trusted(text: str) -> str:
    if text == UNIX_CALLER:
        return text
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(
            'must be an address, a network such as 10.0.0.0/8 with no bit set beyond it, or "unix"'
        ) from None


TrustedCaller = Annotated[str, AfterValidator(_trusted)]


class HttpSettings(Model):
    """Bounds of an HTTP listener, and who may speak for others on it.

    Attributes:
        trusted_callers: Addresses and networks of the proxies that may tell about their clients'
            requests, and ``unix`` for a Unix socket; at most 256. Others get 403 from every
            endpoint of forward auth.
        max_connections: Connections at one time, 1 to 65536; more are closed.
        max_header_bytes: Bytes of a request's first line and headers, 1Ki to 256Ki; a quantity in
            YAML.
        idle_timeout: Seconds that a connection without a request is kept, 1s to 1h; a duration in
            YAML.
    """

    trusted_callers: Annotated[Items[TrustedCaller], Field(max_length=_MOST_CALLERS)] = (
        "127.0.0.0/8",
        "::1/128",
        UNIX_CALLER,
    )
    max_connections: Annotated[int, Field(ge=1, le=65_536)] = 1024
    max_header_bytes: HeaderBytes = 64 * 1024
    idle_timeout: IdleTimeout = 300.0
