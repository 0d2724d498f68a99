"""The proxy's side of a Process stream."""

from collections.abc import Sequence
from typing import Any

from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api.ext_proc import ProcessStream
from mixer.attributes import Caller
from mixer.engine import Engine

Mode = processing_mode_pb2.ProcessingMode
Pairs = Sequence[tuple[str, str]]

GET = ((":authority", "a.example"), (":path", "/a?b=c"), (":method", "GET"), (":scheme", "http"))
PATIENCE_S = 3.0


class Proxy:
    """Sends messages as Envoy does, and reads the answers.

    Args:
        engine: Of the service.
        request_mode: How the request's body comes, by name.
        response_mode: How the response's does; as the request's unless told.
        told: Whether the filter tells its modes.
        observes: Whether it is in observability mode.
        may_override: Whether it surely takes a mode override.
        early: Whether pieces of the body come before the headers are answered.
    """

    def __init__(
        self,
        engine: Engine,
        request_mode: str = "NONE",
        response_mode: str | None = None,
        *,
        told: bool = True,
        observes: bool = False,
        may_override: bool = False,
        early: bool = False,
    ) -> None:
        self.changes = 0
        self.stream = ProcessStream(
            engine,
            lambda: Caller("proxy"),
            may_override=lambda: may_override,
            patience_s=PATIENCE_S,
            on_change=self._changed,
        )
        self._first = external_processor_pb2.ProcessingRequest(observability_mode=observes)
        if told and not observes:
            config = self._first.protocol_config
            config.request_body_mode = Mode.BodySendMode.Value(request_mode)
            config.response_body_mode = Mode.BodySendMode.Value(response_mode or request_mode)
            config.send_body_without_waiting_for_header_response = early

    def _changed(self) -> None:
        self.changes += 1

    def send(self, message: Any) -> list[Any]:
        """Send a message; what is answered."""
        self.stream.receive(message.SerializeToString())
        return self.answers()

    def answers(self) -> list[Any]:
        """What there is to read."""
        read = external_processor_pb2.ProcessingResponse.FromString
        return [read(one) for one in self.stream.take()]

    def look(self) -> list[Any]:
        """What is answered after something changed by itself."""
        self.stream.look()
        return self.answers()

    def message(self, **fields: Any) -> Any:
        """A message; the first one of a stream tells more."""
        message, self._first = (
            self._first,
            external_processor_pb2.ProcessingRequest(
                observability_mode=self._first.observability_mode
            ),
        )
        message.MergeFrom(external_processor_pb2.ProcessingRequest(**fields))
        return message

    def request_headers(self, *pairs: tuple[str, str], end: bool = True, **more: Any) -> list[Any]:
        """Send the request's headers."""
        content = headers((*GET, *pairs), end=end)
        return self.send(self.message(request_headers=content, **more))

    def response_headers(self, *pairs: tuple[str, str], end: bool = True, **more: Any) -> list[Any]:
        """Send the response's headers."""
        content = headers(((":status", "200"), *pairs), end=end)
        return self.send(self.message(response_headers=content, **more))

    def body(self, data: bytes, *, end: bool = False, of: str = "request") -> list[Any]:
        """Send a piece of a body."""
        content = external_processor_pb2.HttpBody(body=data, end_of_stream=end)
        return self.send(self.message(**{f"{of}_body": content}))

    def trailers(self, *pairs: tuple[str, str], of: str = "request") -> list[Any]:
        """Send trailers."""
        content = external_processor_pb2.HttpTrailers()
        for name, value in pairs:
            content.trailers.headers.add(key=name, raw_value=value.encode())
        return self.send(self.message(**{f"{of}_trailers": content}))


def headers(pairs: Pairs, *, end: bool) -> Any:
    """``HttpHeaders``."""
    content = external_processor_pb2.HttpHeaders(end_of_stream=end)
    for name, value in pairs:
        content.headers.headers.add(key=name, raw_value=value.encode(errors="surrogateescape"))
    return content


def kinds(answers: Sequence[Any]) -> list[str]:
    """What answers are about."""
    return [one.WhichOneof("response") or "more_time" for one in answers]


def immediate(answers: Sequence[Any]) -> tuple[int, str]:
    """Status and reason of the answer that ends the stream."""
    answer = answers[-1].immediate_response
    assert answers[-1].WhichOneof("response") == "immediate_response", kinds(answers)
    return answer.status.code, answer.details


def set_headers(mutation: Any) -> list[tuple[str, bytes, bool]]:
    """What a header mutation sets: name, value, and whether it is one more."""
    return [(o.header.key, o.header.raw_value, o.append.value) for o in mutation.set_headers]
