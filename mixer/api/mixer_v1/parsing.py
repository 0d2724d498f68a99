"""From the bytes of a call to its message."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2

from mixer.api.mixer_v1.errors import CallRefusedError
from mixer.attributes import Value
from mixer.engine import Admission
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.decompression import count, decompress_what_is_sound
from mixer.wire.dictionary import WORDS
from mixer.wire.lenient import parse

MOST_ATTRIBUTES = 4096
"""Of one request or record; proxies have some 40."""

_M = TypeVar("_M", bound=Message)


def parse_call(kind: type[_M], data: bytes) -> _M:
    """Parse a message.

    Raises:
        CallRefusedError: The bytes are no such message.
    """
    try:
        return parse(kind, data)
    except DecodeError as error:
        raise malformed(error) from error


def parse_attributes(data: bytes) -> pb.CompressedAttributes:
    """Parse the attributes of a record.

    Raises:
        CallRefusedError: The bytes are no such message, or it has too many of them.
    """
    message = parse_call(pb.CompressedAttributes, data)
    check_attributes(message)
    return message


def check_attributes(message: pb.CompressedAttributes) -> None:
    """Refuse what would take long to look through.

    Raises:
        CallRefusedError: There are too many attributes.
    """
    check_number(count(message), "attributes", MOST_ATTRIBUTES)


def check_number(number: int, what: str, most: int) -> None:
    """Refuse more than there may be.

    Raises:
        CallRefusedError: There are more.
    """
    if number > most:
        raise CallRefusedError(
            f"{number} {what} in one request: at most {most} are taken", code_pb2.INVALID_ARGUMENT
        )


def malformed(error: Exception) -> CallRefusedError:
    """What is answered to bytes that are no such message."""
    return CallRefusedError(f"grpc: error unmarshalling request: {error}")


def check_dictionary(known_words: int) -> None:
    """Refuse a caller whose words nobody here may know.

    Raises:
        CallRefusedError: Its dictionary is larger than this one.
    """
    if known_words > len(WORDS):
        raise CallRefusedError(
            "inconsistent global dictionary versions used: "
            f"mixer knows {len(WORDS)} words, caller knows {known_words}"
        )


def admitted(
    message: pb.CompressedAttributes, admission: Admission, default_words: Sequence[str] = ()
) -> tuple[dict[str, Value], list[str]]:
    """The attributes that may be used, and the names of those that were rejected.

    Args:
        message: What was sent.
        admission: Says what may be used, and counts what may not.
        default_words: Words of the report.
    """
    sent, unsound = decompress_what_is_sound(message, default_words)
    for one in unsound:
        admission.reject(*one)
    values, wrong = admission.admit(sent)
    return values, [*(one.name for one in unsound), *wrong]
