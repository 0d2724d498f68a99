"""Proxies that ask by a call in plain HTTP, one for each request: forward auth."""

from mixer.api.forward_auth import envoy, forward, haproxy, nginx
from mixer.api.forward_auth.dialect import Dialect, asking
from mixer.api.http import Endpoint

DIALECTS = (
    Dialect(envoy.PATH, envoy.CARRIERS, envoy.encode, takes_below=True),
    Dialect(nginx.PATH, nginx.CARRIERS, nginx.encode),
    Dialect(forward.PATH, forward.CARRIERS, forward.encode),
    Dialect(haproxy.PATH, haproxy.CARRIERS, haproxy.encode),
)

ENDPOINTS = tuple(
    Endpoint(one.path, asking(one), takes_below=one.takes_below, speaks_for_clients=True)
    for one in DIALECTS
)
"""One for each way in which proxies do it."""

__all__ = ["DIALECTS", "ENDPOINTS", "Dialect"]
