"""nginx's ``auth_request``: 2xx lets a request pass, 401 and 403 refuse it, all else is an error.

Any other status goes in a header, of which the configuration of nginx can make what the client is
to get.
"""

from mixer.api.forward_auth.copied import copied, request_headers, response_headers
from mixer.api.forward_auth.denial import STATUS, headers_of, status_of
from mixer.api.forward_auth.original import Carriers
from mixer.api.http import HttpAnswer, HttpCall
from mixer.engine import Decision, Request, Response, Verdict

PATH = "/auth_request"

CARRIERS = Carriers(
    scheme=b"x-forwarded-proto",
    host=b"host",
    address=b"x-real-ip",
    method=b"x-original-method",
    uri=b"x-original-uri",
)

_UNAUTHORIZED, _FORBIDDEN = 401, 403
_COMMANDS = b"x-accel-"
"""nginx does what such headers of an upstream say."""


def encode(call: HttpCall, request: Request, decision: Decision) -> HttpAnswer:
    """The answer to nginx.

    Raises:
        InexpressibleError: The decision cannot be said to it.
        MalformedCallError: The query says no headers.
    """
    if decision.response is not None:
        return _denied(decision.response, decision.verdict)
    names = copied(call)
    headers = request_headers(names["headers"], request, decision)
    headers += response_headers(names["response_headers"], decision)
    return HttpAnswer(200, tuple(headers))


def _denied(response: Response, verdict: Verdict) -> HttpAnswer:
    status = status_of(response)
    told = (STATUS, str(status).encode())
    headers = tuple(pair for pair in headers_of(response) if not pair[0].startswith(_COMMANDS))
    if verdict is Verdict.ERROR:
        return HttpAnswer(status, (*headers, told))
    answered = _UNAUTHORIZED if status == _UNAUTHORIZED else _FORBIDDEN
    return HttpAnswer(answered, (*headers, told))
