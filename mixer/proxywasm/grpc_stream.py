"""A gRPC stream that a module opened, from both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.abi import BufferType, MapType
from mixer.proxywasm.callout_view import CalloutView, of_buffer, of_metadata
from mixer.proxywasm.vm_callouts import size_of

if TYPE_CHECKING:
    from mixer.callouts.ports import GrpcMethod, GrpcStream, Pairs
    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.wasm_vm import WasmVm


class OpenStream:
    """One open stream: `mixer.callouts.ports.GrpcEvents` for the client, handles for host calls.

    Its token stays known after the server closed the stream, until the module closes it as well.

    Args:
        root: The plugin that opened it.
        method: What it calls.

    Raises:
        UnknownClusterError: There is no such cluster.
        NotSentError: Too many callouts are open.
    """

    def __init__(self, root: RootContext, method: GrpcMethod) -> None:
        self._root = root
        self._vm: WasmVm = root.vm
        self._remote_closed = self._local_closed = False
        size = size_of(method)
        self.token = self._vm.callouts.number_stream(size)
        self._stream: GrpcStream = self._vm.services.callouts.grpc_stream(method, self)
        self._vm.callouts.keep(self.token, size, self._stream.reset)
        self._vm.callouts.streams[self.token] = self

    def on_initial_metadata(self, metadata: Pairs) -> None:
        """See `GrpcEvents`."""
        view = of_metadata(MapType.GRPC_CALL_INITIAL_METADATA, metadata)
        self._tell(view, "on_grpc_receive_initial_metadata", len(metadata))

    def on_message(self, message: bytes) -> None:
        """See `GrpcEvents`."""
        view = of_buffer(BufferType.GRPC_CALL_MESSAGE, message)
        self._tell(view, "on_grpc_receive", len(message))

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        """See `GrpcEvents`."""
        view = of_metadata(MapType.GRPC_CALL_TRAILING_METADATA, metadata)
        self._tell(view, "on_grpc_receive_trailing_metadata", len(metadata))

    def on_close(self, status: int, message: str) -> None:
        """See `GrpcEvents`."""
        self._remote_closed = True
        self._tell(CalloutView(status=status, message=message), "on_grpc_close", status)
        self._forget_if_closed()

    def _tell(self, view: CalloutView, callback: str, *args: int) -> None:
        function = getattr(self._vm.callbacks, callback)
        self._vm.callouts.tell(self._root, view, function, self.token, *args)

    def send(self, message: bytes, *, end_of_stream: bool) -> None:
        """Send a message; nobody takes it where the server closed. Raises NotSentError."""
        if not self._remote_closed:
            self._stream.send(message, end_of_stream=end_of_stream)

    def close(self) -> None:
        """Send no more."""
        self._local_closed = True
        if not self._remote_closed:
            self._stream.close()
        self._forget_if_closed()

    def reset(self) -> None:
        """Give it up."""
        self._vm.callouts.cancel(self.token)
        self._vm.callouts.streams.pop(self.token, None)

    def _forget_if_closed(self) -> None:
        if self._remote_closed and self._local_closed:
            self._vm.callouts.forget(self.token)
            self._vm.callouts.streams.pop(self.token, None)
