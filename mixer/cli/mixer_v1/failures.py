"""What to do about calls that were not answered."""

from mixer.cli.mixer_v1.calls import Failure
from mixer.cli.mixer_v1.syntax import printable

_NOT_REACHED = ("failed to connect", "resolution failed", "errors resolving")
_NO_GRPC = ("Socket closed", "Failed parsing HTTP/2", "handshake failed", "Connection reset")
"""What gRPC tells of a connection that was made, and of which nothing came."""
_DICTIONARY = "inconsistent global dictionary"
_LONGEST = 400


def advice(failure: Failure, mixer: str, timeout: float) -> str:
    """Say why a call failed, and what to do.

    Args:
        failure: Of the call.
        mixer: Where it went.
        timeout: Seconds that it could take.
    """
    said = printable(failure.details[:_LONGEST])
    if failure.code == "UNAVAILABLE" and any(text in said for text in _NOT_REACHED):
        if any(text in said for text in _NO_GRPC):
            return (
                f"something answers at {mixer}, but not by gRPC as it was asked: try --tls, "
                "--ca-file, --cert-file with --key-file, or the port of a listener with gRPC\n"
                f"({said})"
            )
        return (
            f"no Mixer answers at {mixer}: start one, such as `mixer serve -c mixer.yaml`, or say "
            f"where it listens with -m HOST:PORT\n({said})"
        )
    if failure.code == "DEADLINE_EXCEEDED":
        return f"{mixer} did not answer within {timeout:g} s (--timeout)"
    return f"{mixer}: {failure.code}: {said}{_more(failure)}"


def _more(failure: Failure) -> str:
    if _DICTIONARY in failure.details:
        return "\nleave out --global-dictionary: this Mixer knows fewer words"
    hint = _HINTS.get(failure.code)
    return f"\n{hint}" if hint else ""


_HINTS = {
    "UNAVAILABLE": "it is overloaded, has just ended, or is no Mixer: see its log, or try again",
    "RESOURCE_EXHAUSTED": "it may be overloaded: try again, or send less at once",
    "UNIMPLEMENTED": "what listens there does not speak istio.mixer.v1: is -m right?",
    "INTERNAL": "see the log of Mixer",
}
