"""What can be asked for on an HTTP listener."""

from mixer.api import authzen, forward_auth

ENDPOINTS = (*forward_auth.ENDPOINTS, *authzen.ENDPOINTS)
"""Each path, and the protocol that is spoken there."""

HEALTH = "/healthz"
"""Whether the listener answers: 200, and 503 once the service stops."""
