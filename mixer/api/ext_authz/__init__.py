"""Envoy's external authorization: envoy.service.auth.v3.Authorization/Check."""

from mixer.api.ext_authz.request import Connection, MalformedRequestError, decode
from mixer.api.ext_authz.response import as_sent, encode, refuse

SERVICE = "envoy.service.auth.v3.Authorization"
METHOD = "Check"

__all__ = [
    "METHOD",
    "SERVICE",
    "Connection",
    "MalformedRequestError",
    "as_sent",
    "decode",
    "encode",
    "refuse",
]
