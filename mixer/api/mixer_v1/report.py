"""From the bytes of a ReportRequest to records, made one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from mixer.api.mixer_v1.attributes import RESOLVERS
from mixer.api.mixer_v1.headers import response_headers
from mixer.api.mixer_v1.parsing import (
    admitted,
    check_dictionary,
    check_number,
    malformed,
    parse_attributes,
    parse_call,
)
from mixer.api.mixer_v1.source import Asked, MixerSource
from mixer.attributes import AttributeBag, FindCaller, Value
from mixer.engine import Admission, Record
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.decompression import texts
from mixer.wire.lenient import parse_frames

MOST_RECORDS = 100_000
"""Of one report: a record that repeats the one before takes two bytes."""


@dataclass(frozen=True, slots=True)
class Report:
    """One ReportRequest; a record is decoded when its turn comes.

    Attributes:
        frames: The bytes of each record.
        words: For records that bring none.
        inherits: Whether a record has what the ones before it had.
        admission: Says which attributes may be used.
        caller: Tells who it is.
    """

    frames: tuple[bytes, ...]
    words: list[str]
    inherits: bool
    admission: Admission
    caller: FindCaller

    def check(self) -> Iterator[None]:
        """Look at one record after the other, so that none is told of where one is malformed.

        Raises:
            CallRefusedError: One is.
        """
        for frame in self.frames:
            parse_attributes(frame)
            yield

    def records(self) -> Iterator[Record]:
        """What adapters are told of."""
        asked = Asked("report", self.caller)
        inherited: dict[str, Value] = {}
        for frame in self.frames:
            told = parse_call(pb.CompressedAttributes, frame)
            values, rejected = admitted(told, self.admission, self.words)
            if self.inherits:
                values = inherited = {**inherited, **values}
                for name in rejected:
                    inherited.pop(name, None)
            yield _record(MixerSource(values, asked), values)


def _record(source: MixerSource, values: dict[str, Value]) -> Record:
    answered = "response.headers" in values or "response.code" in values
    return Record(
        headers=source.headers,
        attributes=AttributeBag(RESOLVERS, source),
        response_headers=response_headers(source) if answered else None,
    )


def decode_report(data: bytes, admission: Admission, caller: FindCaller) -> Report:
    """Read a ReportRequest.

    Args:
        data: The message.
        admission: Says which attributes may be used.
        caller: Tells who it is.

    Raises:
        CallRefusedError: The bytes are no ReportRequest, their dictionary is a larger one, or they
            have too many records.
    """
    try:
        message = parse_frames(data)
    except DecodeError as error:
        raise malformed(error) from error
    check_dictionary(message.global_word_count)
    check_number(len(message.attributes), "records", MOST_RECORDS)
    inherits = message.repeated_attributes_semantics == pb.ReportRequest.DELTA_ENCODING
    frames, words = tuple(message.attributes), texts(message.default_words)
    return Report(frames, words, inherits, admission, caller)
