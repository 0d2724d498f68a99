"""The status of gRPC that an answer is to its caller."""

import grpc

from mixer.middleware.values import Answer

CODES = {code.value[0]: code for code in grpc.StatusCode}
_UNCLEAR = (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.PERMISSION_DENIED)
_OF_HTTP = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_MIN_SERVER_ERROR = 500


def code_of(answer: Answer) -> grpc.StatusCode:
    """Never OK: what is answered here did not go on.

    An adapter that answers with a status of HTTP seldom says one of gRPC. Then the front ends say
    PERMISSION_DENIED or UNKNOWN, which is less than the HTTP status tells.
    """
    code = CODES.get(answer.code, grpc.StatusCode.UNKNOWN)
    if code not in _UNCLEAR:
        return code
    if answer.status >= _MIN_SERVER_ERROR:
        return grpc.StatusCode.UNAVAILABLE
    return _OF_HTTP.get(answer.status, grpc.StatusCode.PERMISSION_DENIED)
