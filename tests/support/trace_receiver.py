"""A receiver of spans that speaks OTLP over gRPC, and can be killed, slowed and made to lie."""

import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.trace.v1 import trace_pb2

_METHOD = "opentelemetry.proto.collector.trace.v1.TraceService"
_EMPTY = messages.ExportTraceServiceResponse().SerializeToString()

Answer = Callable[[grpc.ServicerContext], bytes]


def takes(_context: grpc.ServicerContext) -> bytes:
    """As it should be."""
    return _EMPTY


def lies(_context: grpc.ServicerContext) -> bytes:
    """What is no message."""
    return b"\xff\xff\xff\xff rubbish"


def refuses(context: grpc.ServicerContext) -> bytes:
    """A status that no sender is to repeat."""
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")


class TraceReceiver:
    """Keeps the spans that it gets.

    Args:
        port: Where to listen; 0 chooses one.

    Attributes:
        answer: How it answers.
        may_answer: Cleared, it answers nobody.
        messages: How many it got.
        metadata: Of the last message.
    """

    def __init__(self, port: int = 0) -> None:
        self.answer: Answer = takes
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.messages = 0
        self.metadata: dict[str, Any] = {}
        self._taken: list[trace_pb2.ResourceSpans] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        handler = grpc.unary_unary_rpc_method_handler(
            self._export, request_deserializer=messages.ExportTraceServiceRequest.FromString
        )
        handlers = grpc.method_handlers_generic_handler(_METHOD, {"Export": handler})
        self._server.add_generic_rpc_handlers((handlers,))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def url(self) -> str:
        """Of a sender's configuration."""
        return f"http://127.0.0.1:{self.port}"

    def _export(
        self, request: messages.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        self.messages += 1
        self.may_answer.wait(30.0)
        data = self.answer(context)
        self._taken += request.resource_spans
        return data

    def spans(self, service: str | None = None) -> list[trace_pb2.Span]:
        """Those that came, of one service or of all."""
        return [
            span
            for of_resource in list(self._taken)
            if service in (None, _service_name(of_resource))
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def stop(self) -> None:
        """Be gone."""
        self.may_answer.set()
        self._server.stop(None).wait()

    def __enter__(self) -> "TraceReceiver":
        self._server.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def _service_name(of_resource: trace_pb2.ResourceSpans) -> str:
    found = {one.key: one.value.string_value for one in of_resource.resource.attributes}
    return found.get("service.name", "")


def attributes_of(span: trace_pb2.Span) -> dict[str, Any]:
    """By name."""
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in span.attributes
    }
