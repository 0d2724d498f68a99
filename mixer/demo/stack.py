"""Everything that the demo runs: upstream, service and Envoy, started and stopped in order."""

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mixer.demo.configuration import auth_configuration, envoy_bootstrap, service_documents
from mixer.demo.credentials import Credentials
from mixer.study.envoy import EnvoyProcess, find_envoy
from mixer.study.service import SERVE, ServiceProcess
from mixer.study.upstream import EchoUpstream

# sockaddr_un has 108 bytes for the path and its end.
_MAX_SOCKET_PATH = 107


class DemoError(RuntimeError):
    """The demo cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What is running; valid while ``running_stack`` is entered."""

    upstream: EchoUpstream
    service: ServiceProcess
    envoy: EnvoyProcess
    config: Path


@asynccontextmanager
async def running_stack(
    credentials: Credentials,
    progress: Callable[[str], None],
    *,
    service_command: Sequence[str] = SERVE,
) -> AsyncIterator[Stack]:
    """Starts everything, and stops it at the end, also after an error half-way.

    Args:
        credentials: What the adapter must accept.
        progress: Told in a few words what happens next.
        service_command: What starts the service; its configuration file is added.

    Yields:
        The running stack.

    Raises:
        EnvoyNotFound: Envoy is not installed.
        DemoError: The module is not built, or no socket can be made in the temporary folder.
        ProcessError: The service or Envoy did not start; the message has the end of its log.
    """
    find_envoy()  # the cheapest thing that can be missing, before anything is started
    auth = auth_configuration(credentials)
    async with AsyncExitStack() as running:
        module = running.enter_context(resources.as_file(_module()))
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-demo-")))
        address = _socket_in(folder)
        config = folder / "mixer.yaml"
        config.touch(mode=0o600)
        config.write_text(service_documents(address, auth))

        progress("Starting the upstream")
        upstream = await running.enter_async_context(EchoUpstream())
        progress("Starting the Mixer service, which compiles the auth module")
        service = await running.enter_async_context(
            ServiceProcess(config, address, folder / "mixer.log", command=service_command)
        )
        progress("Starting Envoy, which compiles the same module")
        bootstrap = envoy_bootstrap(upstream.address, address, module, auth)
        envoy = await running.enter_async_context(EnvoyProcess(bootstrap))
        yield Stack(upstream, service, envoy, config)
        progress("Stopping")


def _module() -> resources.abc.Traversable:
    module = resources.files("mixer") / "modules" / "auth.wasm"
    if not module.is_file():
        raise DemoError("the auth module is not built: run adapters/build.sh")
    return module


def _socket_in(folder: Path) -> str:
    path = folder / "mixer.sock"
    if len(bytes(path)) > _MAX_SOCKET_PATH:
        raise DemoError(f"{path} is too long for a socket: set TMPDIR to a shorter folder")
    return f"unix:{path}"
