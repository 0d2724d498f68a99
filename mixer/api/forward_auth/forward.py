"""Traefik's ForwardAuth and Caddy's ``forward_auth``: 2xx lets a request pass, and any other answer
is the client's.
"""

from mixer.api.forward_auth.copied import copied, request_headers, response_headers
from mixer.api.forward_auth.denial import denied, status_of
from mixer.api.forward_auth.errors import InexpressibleError
from mixer.api.forward_auth.original import Carriers
from mixer.api.http import HttpAnswer, HttpCall
from mixer.engine import Decision, Request

PATH = "/forward_auth"

CARRIERS = Carriers(
    scheme=b"x-forwarded-proto",
    host=b"x-forwarded-host",
    address=b"x-forwarded-for",
    method=b"x-forwarded-method",
    uri=b"x-forwarded-uri",
)

_REDIRECTION = 300


def encode(call: HttpCall, request: Request, decision: Decision) -> HttpAnswer:
    """The answer to Traefik or Caddy.

    Raises:
        InexpressibleError: The decision cannot be said to them.
        MalformedCallError: The query says no headers.
    """
    if decision.response is not None:
        status = status_of(decision.response)
        if status < _REDIRECTION:
            raise InexpressibleError(
                f"a_denial_with_status_{status}_is_not_possible_with_forward_auth"
            )
        return denied(decision.response)
    names = copied(call)
    headers = request_headers(names["headers"], request, decision)
    headers += response_headers(names["response_headers"], decision)
    return HttpAnswer(200, tuple(headers))
