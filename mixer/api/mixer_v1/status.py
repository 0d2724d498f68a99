"""The gRPC status of a decision."""

from google.rpc import code_pb2

from mixer.engine import Decision, Response, Verdict

# Not INTERNAL for 500: proxies that are configured to fail open let such a request pass.
_CODES: dict[int, int] = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    404: code_pb2.NOT_FOUND,
    429: code_pb2.RESOURCE_EXHAUSTED,
    500: code_pb2.UNKNOWN,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.DEADLINE_EXCEEDED,
}
_OK: int = code_pb2.OK
_DENIED: int = code_pb2.PERMISSION_DENIED
_LONGEST_TEXT = 1024
_PLAIN = b"text/plain"


def code_of(decision: Decision) -> int:
    """The code: as the adapter gave it, or as its HTTP status has it; 0 only where allowed."""
    if decision.verdict is Verdict.ALLOW:
        return _OK
    status = 0 if decision.response is None else decision.response.status
    return decision.code or _CODES.get(status, _DENIED)


def message_of(decision: Decision) -> str:
    """``name.namespace:text`` of the adapter that decided; nothing where the request is allowed."""
    if decision.verdict is Verdict.ALLOW:
        return ""
    text = _text(decision.response) or decision.reason
    named = f"{_handler(decision.adapter)}:{text}" if decision.adapter else text
    return named.encode(errors="replace").decode()


def _handler(adapter: str) -> str:
    namespace, _, name = adapter.rpartition("/")
    return f"{name}.{namespace}" if namespace else name


def _text(response: Response | None) -> str:
    """The body where it is meant for people."""
    if response is None or not response.body or len(response.body) > _LONGEST_TEXT:
        return ""
    kind = next((value for name, value in response.headers if name == b"content-type"), _PLAIN)
    if not kind.lower().startswith(_PLAIN):
        return ""
    try:
        return response.body.decode().strip()
    except UnicodeDecodeError:
        return ""
