"""The two sides of a VM's ownership: the plugins that live in it, and who gives it to them."""

from collections.abc import Callable
from typing import Protocol

from mixer.engine.restart import RestartPolicy
from mixer.proxywasm import PluginSettings, RootContext
from mixer.vm import TrapError


class Tenant(Protocol):
    """A plugin, as whoever owns its VM sees it.

    Attributes:
        name: For logs.
        settings: Of its root context.
        broken: Whether it was refused at its first start, and is not to be started again.
        lazy: Whether, once it has been started, it starts in a further VM with its first stream
            there: of hundreds of plugins in a VM not all can be waited for.
    """

    name: str
    settings: PluginSettings
    lazy: bool

    @property
    def broken(self) -> bool:
        """See above."""

    def attached(self, root: RootContext | None) -> None:
        """Started: streams open in this root; where it is None, in one that `acquire` gives."""

    def detached(self) -> None:
        """The next stream is to ask `acquire`, though nothing is wrong."""

    def resumed(self, root: RootContext) -> None:
        """Streams go on to open in this root, after all."""

    def start_failed(self, error: Exception) -> None:
        """It, or its VM, did not start: PluginStartError, ModuleError or TrapError."""

    def lost(self, error: TrapError) -> None:
        """Its VM trapped, be it for another plugin."""

    def trapped_alone(self, error: TrapError) -> None:
        """It trapped where no request waits."""


class VmOwner(Protocol):
    """Has the VMs of one or several plugins; belongs to one thread.

    Attributes:
        restart: When a VM may be started again.
    """

    restart: RestartPolicy

    @property
    def memory_bytes(self) -> int:
        """Linear memory in use."""

    @property
    def lost_notifications(self) -> int:
        """Messages of queues that its VMs were not told of, since too many waited."""

    def start(self, tenant: Tenant) -> None:
        """Start a plugin for the first time; it is told how that went."""

    def acquire(self, tenant: Tenant) -> RootContext | None:
        """The root for a new stream where the plugin has none at hand; None where there is none.

        Raises:
            AdapterFailure: There are too many streams.
        """

    def crashed(self, error: TrapError) -> None:
        """Close the VM that trapped, and tell its plugins."""

    def shut_down(self, finished: Callable[[], None]) -> None:
        """End every plugin in good order; called back once all have ended."""

    def close(self) -> None:
        """Free every VM; plugins that were not shut down are, but not waited for."""
