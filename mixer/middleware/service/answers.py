"""What a caller gets where a service lets a request not go on."""

from http import HTTPStatus

from mixer.client import CheckResult
from mixer.middleware.service.operations import operated
from mixer.middleware.values import UNAVAILABLE, Answer

_STATUSES = {
    3: HTTPStatus.BAD_REQUEST,
    5: HTTPStatus.NOT_FOUND,
    7: HTTPStatus.FORBIDDEN,
    8: HTTPStatus.TOO_MANY_REQUESTS,
    16: HTTPStatus.UNAUTHORIZED,
}
"""By code of gRPC, for a service that says no more; others are 503."""

_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS = 500
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


def answer_of(result: CheckResult) -> Answer | None:
    """What the result of a check has the caller get; None where the request goes on."""
    directive = result.route_directive
    if directive.direct_response_code:
        status = directive.direct_response_code
        headers = operated([], directive.response_operations)
        usable = _MIN_STATUS <= status <= _MAX_STATUS
        return Answer(
            status if usable else _UNUSABLE_STATUS,
            tuple(pair for pair in headers if not pair[0].startswith(b":")),
            directive.direct_response_body.encode(),
            result.code,
            result.message,
        )
    if result.ok:
        return None
    if result.failure is not None:
        return UNAVAILABLE
    status = _STATUSES.get(result.code, HTTPStatus.SERVICE_UNAVAILABLE)
    return Answer(status, (_TEXT,), result.message.encode(), result.code, result.message)
