"""Envoy's external authorization: envoy.service.auth.v3.Authorization/Check."""

from mixer.api.ext_authz.request import MalformedRequestError, decode
from mixer.api.ext_authz.response import encode, no_http

SERVICE = "envoy.service.auth.v3.Authorization"
METHOD = "Check"

__all__ = ["METHOD", "SERVICE", "MalformedRequestError", "decode", "encode", "no_http"]
