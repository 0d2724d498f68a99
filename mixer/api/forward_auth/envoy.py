"""Envoy's ext_authz filter with ``http_service``.

Of a 200 Envoy takes over what its ``allowed_upstream_headers`` names; a 5xx is an error of the
service to it, which ``failure_mode_allow`` lets pass, and everything else is a denial.
"""

from mixer.api.forward_auth.changes import changes, no_response_operations
from mixer.api.forward_auth.denial import denied, status_of
from mixer.api.forward_auth.errors import InexpressibleError
from mixer.api.forward_auth.original import PARTIAL_BODY, Carriers
from mixer.api.http import HttpAnswer, HttpCall
from mixer.engine import Decision, Request, Response, Verdict

PATH = "/ext_authz"
"""The ``path_prefix``; the path of the client's request follows."""

CARRIERS = Carriers(
    scheme=b"x-forwarded-proto",
    host=b"host",
    address=b"x-mixer-client-address",
    prefix=PATH.encode(),
    repeats_body=True,
    added=frozenset({PARTIAL_BODY, b"x-envoy-internal", b"x-envoy-expected-rq-timeout-ms"}),
)

_REMOVED = b"x-envoy-auth-headers-to-remove"
_OK, _SERVER_ERROR, _FORBIDDEN = 200, 500, 403


def encode(_call: HttpCall, _request: Request, decision: Decision) -> HttpAnswer:
    """The answer to Envoy.

    Raises:
        InexpressibleError: The decision cannot be said to it.
    """
    if decision.response is not None:
        return _denied(decision.response, decision.verdict)
    no_response_operations(decision)
    changed = list(changes(decision))
    headers = [(name, value) for name, value in changed if value is not None]
    removed = [name for name, value in changed if value is None]
    if removed:
        headers.append((_REMOVED, b",".join(removed)))
    return HttpAnswer(_OK, tuple(headers))


def _denied(response: Response, verdict: Verdict) -> HttpAnswer:
    status = status_of(response)
    if status == _OK:
        raise InexpressibleError("a_denial_with_status_200_is_not_possible_with_forward_auth")
    if verdict is Verdict.DENY and status >= _SERVER_ERROR:
        # What an adapter refuses is refused, also where the service's errors are let pass.
        response = Response(_FORBIDDEN, response.headers, response.body)
    return denied(response)
