"""Who moves the bytes: gRPC servers, and the life of the service."""

from mixer.transport.serve import BrokenAdaptersError, serve
from mixer.transport.server import ListenError, Server

__all__ = ["BrokenAdaptersError", "ListenError", "Server", "serve"]
