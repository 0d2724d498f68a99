"""What a call is answered with instead of a response."""

from google.rpc import code_pb2


class CallRefusedError(Exception):
    """A call is answered with a gRPC status.

    Args:
        message: Of the status.
        code: Of the status: ``google.rpc.Code``.
    """

    def __init__(self, message: str, code: int = code_pb2.INTERNAL) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class InexpressibleError(Exception):
    """The decision holds something that no response can say."""
