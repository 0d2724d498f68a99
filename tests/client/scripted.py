"""A server of Mixer's that answers as a test says."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc

from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import decompress
from tests.client.answers import answer

Answer = pb.CheckResponse | tuple[grpc.StatusCode, str]
OnCheck = Callable[[pb.CheckRequest], Answer]
OnReport = Callable[[pb.ReportRequest], tuple[grpc.StatusCode, str] | None]

OVERLOADED = (grpc.StatusCode.UNAVAILABLE, "Server is currently overloaded. Please try again.")


class ScriptedServer:
    """Answers on a port of its own, and keeps what it was asked.

    Args:
        check: What Check answers: a message, or a code and its words.
        report: What Report answers: None for success.
        port: Where, or any that is free.
    """

    def __init__(
        self,
        check: OnCheck = lambda _: answer(),
        report: OnReport = lambda _: None,
        port: int = 0,
    ) -> None:
        self.check, self.report = check, report
        self.checks: list[pb.CheckRequest] = []
        self.reports: list[pb.ReportRequest] = []
        self.changed = threading.Condition()
        self._pool = ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def _handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "istio.mixer.v1.Mixer",
            {
                "Check": grpc.unary_unary_rpc_method_handler(
                    self._check, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
                ),
                "Report": grpc.unary_unary_rpc_method_handler(
                    self._report, pb.ReportRequest.FromString, pb.ReportResponse.SerializeToString
                ),
            },
        )

    def _check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        self._keep(self.checks, request)
        said = self.check(request)
        return context.abort(*said) if isinstance(said, tuple) else said

    def _report(self, request: pb.ReportRequest, context: grpc.ServicerContext) -> Any:
        self._keep(self.reports, request)
        if said := self.report(request):
            return context.abort(*said)
        return pb.ReportResponse()

    def _keep(self, asked: list[Any], request: Any) -> None:
        with self.changed:
            asked.append(request)
            self.changed.notify_all()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Wait until something is true of what was asked."""
        with self.changed:
            assert self.changed.wait_for(holds, 20), "it did not come to that"

    def records(self) -> list[dict[str, Any]]:
        """All records that came, in independent encoding."""
        return [
            decompress(record, request.default_words)
            for request in self.reports
            for record in request.attributes
        ]

    def stop(self) -> None:
        """Go away, at once."""
        self._server.stop(0).wait()
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
