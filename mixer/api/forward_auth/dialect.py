"""One proxy's way to ask and to be answered."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mixer.api.forward_auth.errors import InexpressibleError, MalformedCallError
from mixer.api.forward_auth.original import Carriers
from mixer.api.forward_auth.request import decode
from mixer.api.http import Asking, HttpAnswer, HttpCall, plain
from mixer.engine import Decision, Request, Response, Verdict

Encode = Callable[[HttpCall, Request, Decision], HttpAnswer]

_MALFORMED, _FAILED = 400, 503


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect of forward auth.

    Attributes:
        path: Where it is spoken.
        carriers: Tell the client's request.
        encode: Makes the answer; raises InexpressibleError.
        takes_below: Whether the path of the client's request follows that of the dialect.
    """

    path: str
    carriers: Carriers
    encode: Encode
    takes_below: bool = False


def asking(dialect: Dialect) -> Callable[[HttpCall], Asking]:
    """What an endpoint does with a call."""

    def ask(call: HttpCall) -> Asking:
        try:
            request = decode(call, dialect.carriers)
        except MalformedCallError as error:
            return _malformed(error)
        decision = yield request
        return _encode(dialect, call, request, decision)

    return ask


def _encode(dialect: Dialect, call: HttpCall, request: Request, decision: Decision) -> HttpAnswer:
    """The answer; an error where the decision cannot be said, for it must not be half of it."""
    try:
        return dialect.encode(call, request, decision)
    except MalformedCallError as error:
        failed = _failed(decision, "the_call_names_no_headers_to_copy")
        return replace(_malformed(error), decision=failed)
    except InexpressibleError as error:
        failed = _failed(decision, str(error))
        return replace(dialect.encode(call, request, failed), decision=failed)


def _malformed(error: MalformedCallError) -> HttpAnswer:
    return replace(plain(_MALFORMED, str(error)), notice=str(error))


def _failed(decision: Decision, reason: str) -> Decision:
    return Decision(
        Verdict.ERROR,
        adapters=decision.adapters,
        adapter=decision.adapter,
        reason=reason,
        response=Response(_FAILED),
        failed_open=decision.failed_open,
    )
