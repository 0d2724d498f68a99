"""Who moves the bytes: gRPC servers, and the life of the service."""

from mixer.engine.life import BrokenAdaptersError
from mixer.transport.decision_logging import DecisionLogError
from mixer.transport.listening import ListenError
from mixer.transport.otlp_library import OtlpLibraryError
from mixer.transport.serve import serve
from mixer.transport.server import Server

__all__ = [
    "BrokenAdaptersError",
    "DecisionLogError",
    "ListenError",
    "OtlpLibraryError",
    "Server",
    "serve",
]
