"""Who moves the bytes: gRPC servers, and the life of the service."""

from mixer.transport.listening import ListenError
from mixer.transport.serve import BrokenAdaptersError, OtlpLibraryError, serve
from mixer.transport.server import Server

__all__ = ["BrokenAdaptersError", "ListenError", "OtlpLibraryError", "Server", "serve"]
