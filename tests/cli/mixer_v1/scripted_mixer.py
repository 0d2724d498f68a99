"""A Mixer that answers as a test tells it to."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from mixer.wire import mixer_v1_pb2 as pb

Answer = Callable[[pb.CheckRequest, grpc.ServicerContext], pb.CheckResponse]


@dataclass
class ScriptedMixer:
    """Takes calls.

    Attributes:
        address: Where it listens.
        answer: To a check.
        checks: The requests that came.
        reports: The same of reports.
    """

    address: str = ""
    answer: Answer = lambda _request, _context: pb.CheckResponse()
    checks: list[pb.CheckRequest] = field(default_factory=list)
    reports: list[pb.ReportRequest] = field(default_factory=list)

    def check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        self.checks.append(request)
        return self.answer(request, context)

    def report(self, request: pb.ReportRequest, _context: object) -> pb.ReportResponse:
        self.reports.append(request)
        return pb.ReportResponse()

    def handlers(self) -> dict[str, Any]:
        return {
            "Check": grpc.unary_unary_rpc_method_handler(
                self.check, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
            ),
            "Report": grpc.unary_unary_rpc_method_handler(
                self.report, pb.ReportRequest.FromString, pb.ReportResponse.SerializeToString
            ),
        }


@contextmanager
def scripted_mixer(service: str = "istio.mixer.v1.Mixer") -> Iterator[ScriptedMixer]:
    """Serve on a free port."""
    mixer = ScriptedMixer()
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        handler = grpc.method_handlers_generic_handler(service, mixer.handlers())
        server.add_generic_rpc_handlers((handler,))
        mixer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield mixer
        finally:
            server.stop(None).wait()
