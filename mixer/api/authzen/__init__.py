"""The OpenID AuthZEN Authorization API 1.0: whether a subject may do an action with a resource.

Source: https://openid.net/specs/authorization-api-1_0-final.html
"""

from mixer.api.authzen.endpoints import ENDPOINTS

__all__ = ["ENDPOINTS"]
