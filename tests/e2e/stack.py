"""What an end-to-end test starts: upstream, services, Envoy; and what came of a request."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mixer.demo.comparison import Observation
from mixer.demo.configuration import DECISION_HEADER, DETAILS_HEADER
from mixer.demo.measurement import observe
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.study.service import SERVE, ServiceProcess
from mixer.study.upstream import EchoUpstream

MODULES = Path(__file__).parents[1] / "modules"

# Far above what it takes: a busy machine must not look like a service that is down.
ASK_TIMEOUT_S = 10.0
START_TIMEOUT_S = 120.0

_DETAILS = {DETAILS_HEADER: "%RESPONSE_CODE_DETAILS%"}
_DECISION = {DECISION_HEADER: f"%DYNAMIC_METADATA({build.EXT_AUTHZ_METADATA})%"}

Document = dict[str, Any]


def adapter(
    name: str,
    module: Path | str,
    configuration: Mapping[str, Any] | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Document:
    """A WasmPlugin without namespace.

    Args:
        name: Of the adapter.
        module: A file, or a URL.
        configuration: ``pluginConfig``.
        annotations: Without the prefix ``mixer.dev/``.
        spec: Other fields, such as ``phase``.
    """
    url = module if isinstance(module, str) else f"file://{module}"
    own = {f"mixer.dev/{key}": value for key, value in (annotations or {}).items()}
    if configuration is not None:
        spec["pluginConfig"] = configuration
    return {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": name, "annotations": own},
        "spec": {"url": url, **spec},
    }


def rule(
    name: str,
    match: str = "true",
    *,
    request: Sequence[Document] = (),
    response: Sequence[Document] = (),
    **spec: Any,
) -> Document:
    """A MixerRule without namespace; see `operation`."""
    sides = {"requestHeaderOperations": [*request], "responseHeaderOperations": [*response]}
    return {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "MixerRule",
        "metadata": {"name": name},
        "spec": {"match": match, **sides, **spec},
    }


def operation(kind: str, name: str, *values: str) -> Document:
    """An operation of a rule, of the given kind, with expressions for values."""
    return {"name": name, "values": [*values], "operation": kind}


class Services:
    """Makes services: each has a folder for its file, socket and log.

    Args:
        folder: With a path short enough for sockets.
        cache: Where compiled modules are kept.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._cache = cache

    def address(self, name: str) -> str:
        """Where a service of that name listens."""
        return f"unix:{self.folder}/{name}.sock"

    def configure(self, name: str, adapters: Sequence[Document], **spec: Any) -> Path:
        """Write a configuration file.

        Args:
            name: Of the service.
            adapters: As `adapter` makes them.
            spec: Fields of the Mixer document.
        """
        mixer = {
            "apiVersion": "mixer.dev/v1alpha1",
            "kind": "Mixer",
            "metadata": {"name": "e2e"},
            "spec": {
                "listeners": [{"name": "grpc", "address": self.address(name)}],
                "compileCache": {"directory": str(self._cache)},
                **spec,
            },
        }
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump_all([mixer, *adapters], sort_keys=False))
        return file

    def service(
        self,
        name: str,
        adapters: Sequence[Document],
        *,
        command: Sequence[str] = SERVE,
        **spec: Any,
    ) -> ServiceProcess:
        """A service that starts when it is entered; see `configure`."""
        config = self.configure(name, adapters, **spec)
        log = self.folder / f"{name}.log"
        return ServiceProcess(
            config, self.address(name), log, command=command, start_timeout_s=START_TIMEOUT_S
        )


@dataclass(frozen=True)
class Listener:
    """A listener of Envoy.

    Attributes:
        config: As Envoy gets it.
        chain: The adapters that its requests go through, by name; None if the service is not
            asked.
    """

    config: build.Config
    chain: str | None = None

    @property
    def name(self) -> str:
        """Its name, by which a test sends requests to it."""
        return str(self.config["name"])


def asks(
    name: str,
    chain: str | None = None,
    *,
    service: str = "mixer",
    context_extensions: Mapping[str, str] | None = None,
    timeout_s: float = ASK_TIMEOUT_S,
    encode_raw_headers: bool = True,
    **options: Any,
) -> Listener:
    """A listener that asks the service; by default the chain of the same name answers."""
    ask = build.ext_authz_filter(
        service, timeout_s=timeout_s, encode_raw_headers=encode_raw_headers, **options
    )
    config = build.listener(
        name,
        "upstream",
        [ask],
        response_headers=_DETAILS | _DECISION,
        context_extensions=context_extensions,
    )
    return Listener(config, chain or name)


def processes(
    name: str,
    chain: str | None = None,
    *,
    service: str = "mixer",
    timeout_s: float = ASK_TIMEOUT_S,
    **options: Any,
) -> Listener:
    """A listener that has the service process its requests and responses, likewise."""
    options = {"attributes": ("destination.port",), **options}
    process = build.ext_proc_filter(service, timeout_s=timeout_s, **options)
    shown = {DECISION_HEADER: f"%DYNAMIC_METADATA({build.EXT_PROC_METADATA})%"}
    config = build.listener(name, "upstream", [process], response_headers=_DETAILS | shown)
    manager = config["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_protocol_options"] = {"enable_trailers": True}
    return Listener(config, chain or name)


def runs(name: str, module: Path, *configurations: Mapping[str, Any], **options: Any) -> Listener:
    """A listener with the module in Envoy's own Wasm filter, once for each configuration."""
    filters = [
        build.wasm_filter(f"{name}-{number}", module, json.dumps(configuration), **options)
        for number, configuration in enumerate(configurations)
    ]
    return Listener(build.listener(name, "upstream", filters, response_headers=_DETAILS))


@dataclass(frozen=True)
class Proxy:
    """An Envoy that is running."""

    envoy: EnvoyProcess

    async def send(self, listener: str, request: Request) -> Observation:
        """What came of one request on a connection of its own."""
        async with HttpConnection(self.envoy.address(listener), 30.0) as connection:
            return observe(await connection.send(request), 0.0)

    async def get(self, listener: str, target: str = "/", *headers: tuple[str, str]) -> Observation:
        """What came of a GET."""
        return await self.send(listener, Request("GET", target, headers))

    async def post(
        self, listener: str, target: str, body: bytes, *headers: tuple[str, str]
    ) -> Observation:
        """What came of a POST."""
        return await self.send(listener, Request("POST", target, headers, body))


@dataclass(frozen=True)
class Stack(Proxy):
    """An Envoy and a service that are running."""

    service: ServiceProcess


@asynccontextmanager
async def running_envoy(
    listeners: Sequence[Listener], services: Mapping[str, str]
) -> AsyncIterator[Proxy]:
    """Starts an upstream and an Envoy.

    Args:
        listeners: Of Envoy.
        services: The address of each service, which need not run yet.
    """
    async with EchoUpstream() as upstream:
        clusters = [
            build.cluster("upstream", upstream.address),
            *(build.cluster(name, at, http2=True) for name, at in services.items()),
        ]
        bootstrap = build.bootstrap([listener.config for listener in listeners], clusters)
        async with EnvoyProcess(bootstrap, start_timeout_s=START_TIMEOUT_S) as envoy:
            yield Proxy(envoy)


@asynccontextmanager
async def running(
    services: Services, chains: Mapping[str, Sequence[Document]], listeners: Sequence[Listener]
) -> AsyncIterator[Stack]:
    """Starts an upstream, an Envoy, and one service for many chains of adapters.

    A request goes through the chain of the listener that it came in by: the adapters match its
    port. The chain is their namespace, so that one name can be in many of them.

    Args:
        services: Makes the service.
        chains: Adapters and rules by chain.
        listeners: Of Envoy.
    """
    async with running_envoy(listeners, {"mixer": services.address("mixer")}) as proxy:
        ports: dict[str | None, list[int]] = {}
        for listener in listeners:
            port = proxy.envoy.address(listener.name).rpartition(":")[2]
            ports.setdefault(listener.chain, []).append(int(port))
        adapters = [
            in_chain(adapter, chain, ports[chain])
            for chain, adapters in chains.items()
            for adapter in adapters
        ]
        async with services.service("mixer", adapters) as service:
            yield Stack(proxy.envoy, service)


def in_chain(document: Document, chain: str, ports: Sequence[int]) -> Document:
    """An adapter or a rule for the requests of one chain: those to these ports."""
    spec = document["spec"]
    match: object = [{"ports": [{"number": port} for port in ports]}]
    if document["kind"] == "MixerRule":
        match = f"destination.port in {list(ports)} && ({spec.get('match', 'true')})"
    return {
        **document,
        "metadata": {**document["metadata"], "namespace": chain},
        "spec": {**spec, "match": match},
    }


def lines(seen: Observation, name: str) -> list[str]:
    """The values of a header that the upstream saw."""
    assert seen.upstream is not None, seen
    return seen.upstream.values(name)


def decided(seen: Observation) -> dict[str, Any]:
    """What the service said of its decision; adapters by name, without their chain."""
    assert seen.decision is not None, seen
    said = {key: value for key, value in seen.decision.items() if key != "ext_authz_duration"}
    said["adapter"] = _without_chain(said["adapter"])
    for several in {"adapters", "failed_open"} & said.keys():
        said[several] = [_without_chain(one) for one in said[several]]
    return said


def _without_chain(adapter: str) -> str:
    return adapter.rpartition("/")[2]
