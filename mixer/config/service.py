"""The ``Mixer`` document: settings of the service itself.

All of it is ours; the shape follows Kubernetes resources so that one file can hold everything.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mixer.config.address import is_any_port
from mixer.config.admin import Admin
from mixer.config.cluster import Cluster, DynamicUpstream, check_unique
from mixer.config.connection import ConnectionLimits
from mixer.config.ledger import LedgerSettings
from mixer.config.listener import Listener, Protocol
from mixer.config.load_shedding import LoadShedding
from mixer.config.manifest import AttributeManifest, no_attributes
from mixer.config.metadata import ObjectMeta
from mixer.config.model import Items, Model
from mixer.config.quota import QuotaState
from mixer.config.rate_limit import RateLimit
from mixer.config.secret import located
from mixer.config.store import MemoryStore, StateStore
from mixer.config.telemetry import Telemetry
from mixer.config.units import CpuLimit, MemoryLimit, duration_between, quantity_between

MIB = 1 << 20

MessageSize = Annotated[int, BeforeValidator(quantity_between("64Ki", "256Mi"))]
HeldSize = Annotated[int, BeforeValidator(quantity_between("4Ki", "256Mi"))]
StateSize = Annotated[int, BeforeValidator(quantity_between("64Ki", "16Gi"))]
IdleTimeout = Annotated[float, BeforeValidator(duration_between("1s", "24h"))]
DecisionTimeout = Annotated[float, BeforeValidator(duration_between("10ms", "10m"))]
TimeToLive = Annotated[float, BeforeValidator(duration_between("1ms", "8760h"))]
Grace = Annotated[float, BeforeValidator(duration_between("0s", "10m"))]


class ServiceLimits(Model):
    """Bounds of what the service takes on.

    Attributes:
        max_message_bytes: Bytes of one gRPC message, 64Ki to 256Mi; a quantity in YAML.
        max_concurrent_rpcs: RPCs in progress of each gRPC listener, 1 to 1000000.
        max_held_bytes: Bytes of one body that adapters may hold back in a stream, 4Ki to 256Mi; a
            quantity in YAML.
        max_streams: Streams of ext_proc that are open at one time, 1 to 1000000.
        stream_idle_timeout: Seconds after which such a stream is ended if nothing comes, 1s to 24h;
            a duration in YAML.
        decision_timeout: Seconds that a request may wait for callouts, 10ms to 10m; a duration in
            YAML. A caller with a shorter deadline is answered before that passes.
        max_isolated_streams: VMs of adapters with ``isolation: request`` at one time, 1 to 65536.
        connections: Of gRPC listeners.
    """

    max_message_bytes: MessageSize = 4 * MIB
    max_concurrent_rpcs: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    max_held_bytes: HeldSize = MIB
    max_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    stream_idle_timeout: IdleTimeout = 600.0
    decision_timeout: DecisionTimeout = 10.0
    max_isolated_streams: Annotated[int, Field(ge=1, le=65_536)] = 256
    connections: ConnectionLimits = ConnectionLimits()


class Shutdown(Model):
    """How the service ends.

    Attributes:
        grace: Seconds that requests in flight at SIGTERM still have, 0 to 600; a duration in YAML.
    """

    grace: Grace = 5.0


class AdapterDefaults(Model):
    """Limits of an adapter that has no annotation for them.

    Attributes:
        memory_limit: Bytes of linear memory, 1Mi to 4Gi; a quantity in YAML.
        cpu_limit: Seconds of one callback, 1ms to 60s; a duration in YAML.
        start_cpu_limit: Seconds of module start and of configuration, 1ms to 60s.
    """

    memory_limit: MemoryLimit = 128 * MIB
    cpu_limit: CpuLimit = 0.1
    start_cpu_limit: CpuLimit = 10.0


def user_cache_directory() -> Path | None:
    """``wasm-mixer`` in the user's cache directory, or None for a user without home directory.

    Source: the XDG Base Directory Specification, which has relative paths ignored.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if configured.is_absolute():
        return configured / "wasm-mixer"
    try:
        return Path.home() / ".cache" / "wasm-mixer"
    except RuntimeError:  # a container's user that /etc/passwd does not know
        return None


class CompileCache(Model):
    """Where compiled modules are kept between starts.

    Attributes:
        directory: Absolute here; in YAML absolute, or relative to the folder of the file. It need
            not exist. Default: ``user_cache_directory()``; None keeps nothing.
    """

    directory: Path | None = Field(default_factory=user_cache_directory)

    @field_validator("directory", mode="before")
    @classmethod
    def _locate(cls, value: object, info: ValidationInfo) -> object:
        return located(value, info)


class SharedState(Model):
    """What adapters share: where it is kept, and its bounds for each ``mixer.dev/vm-id``.

    Attributes:
        store: Where; in the memory of the process unless configured.
        ttl: Seconds that a key of shared data lives after its last set, 1ms to 8760h; a duration
            in YAML. None keeps it.
        max_keys: Keys of shared data, 1 to 10000000.
        max_data_bytes: Bytes of its keys and values together, 64Ki to 16Gi; a quantity in YAML.
        max_queues: Shared queues, 1 to 65536.
        max_queue_length: Messages in one queue, 1 to 10000000.
        max_queue_bytes: Bytes of the messages of one queue together, 64Ki to 16Gi.
        quota: The counters of quotas.
    """

    store: StateStore = StateStore(memory=MemoryStore())
    ttl: TimeToLive | None = None
    max_keys: Annotated[int, Field(ge=1, le=10_000_000)] = 65_536
    max_data_bytes: StateSize = 64 * MIB
    max_queues: Annotated[int, Field(ge=1, le=65_536)] = 256
    max_queue_length: Annotated[int, Field(ge=1, le=10_000_000)] = 16_384
    max_queue_bytes: StateSize = 16 * MIB
    quota: QuotaState = QuotaState()

    @model_validator(mode="after")
    def _lease_of_redis(self) -> Self:
        if self.quota.lease is not None and (self.quota.store or self.store).redis is None:
            raise ValueError("quota.lease: is for counters in Redis: others answer at once")
        return self


class DecisionCacheLimits(Model):
    """How much is kept of decisions that adapters give a validity.

    Attributes:
        max_entries: Decisions, 0 to 10000000; with 0 none is kept.
        max_bytes: What they take, roughly, 64Ki to 16Gi; a quantity in YAML.
    """

    max_entries: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    max_bytes: StateSize = 64 * MIB


class MixerSpec(Model):
    """Settings of the service; every field has a default.

    Attributes:
        listeners: At least one; names and addresses are unique.
        limits: Of the service.
        load_shedding: What is refused when there is too much to do.
        shutdown: How it ends.
        adapter_defaults: Limits of an adapter that has no annotation for them.
        compile_cache: Where compiled modules are kept.
        decision_cache: How much is kept of decisions.
        state: What adapters share.
        ledger: Where usage records are kept; None keeps none.
        telemetry: Who is told what the service counts.
        clusters: What callouts may reach; names and aliases are unique.
        dynamic_upstreams: What else they may reach, by host and port; the first that fits counts.
        attribute_manifest: Attributes that callers of Mixer send beyond those of Istio: name to
            type, at most 1024.
        rate_limit: The rate limit service, and rate limit quota.
        admin: For whoever runs the service.
    """

    listeners: Items[Listener] = (Listener(name="grpc", address="127.0.0.1:9000"),)
    limits: ServiceLimits = ServiceLimits()
    load_shedding: LoadShedding = LoadShedding()
    shutdown: Shutdown = Shutdown()
    adapter_defaults: AdapterDefaults = AdapterDefaults()
    compile_cache: CompileCache = Field(default_factory=CompileCache)
    decision_cache: DecisionCacheLimits = DecisionCacheLimits()
    state: SharedState = SharedState()
    ledger: LedgerSettings | None = None
    telemetry: Telemetry = Telemetry()
    clusters: Annotated[Items[Cluster], AfterValidator(check_unique)] = ()
    dynamic_upstreams: Items[DynamicUpstream] = ()
    attribute_manifest: AttributeManifest = Field(default_factory=no_attributes)
    rate_limit: RateLimit = RateLimit()
    admin: Admin = Admin()

    @field_validator("listeners")
    @classmethod
    def _no_two_alike(cls, listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
        if not listeners:
            # Not min_length: pydantic counts only the valid ones, and would tell this as well.
            raise ValueError("must have at least 1 item")
        _check_unique("name", (one.name for one in listeners))
        fixed = (one.address for one in listeners if not is_any_port(one.address))
        _check_unique("address", fixed)
        return listeners

    @field_validator("load_shedding")
    @classmethod
    def _can_be_measured(cls, load_shedding: LoadShedding, info: ValidationInfo) -> LoadShedding:
        listeners = info.data.get("listeners", ())
        is_http = listeners and all(one.protocol is Protocol.HTTP for one in listeners)
        if load_shedding.latency is not None and is_http:
            raise ValueError("latency: is measured by gRPC: there is no such listener")
        return load_shedding

    @field_validator("admin")
    @classmethod
    def _apart(cls, admin: Admin, info: ValidationInfo) -> Admin:
        address, telemetry = admin.address, info.data.get("telemetry")
        used = {one.address for one in info.data.get("listeners", ())}
        if telemetry is not None:
            used.add(telemetry.metrics.address)
        if address is not None and not is_any_port(address) and address in used:
            raise ValueError(f"address: {address!r} is that of a listener or of the metrics")
        return admin

    @field_validator("telemetry")
    @classmethod
    def _of_its_own(cls, telemetry: Telemetry, info: ValidationInfo) -> Telemetry:
        address = telemetry.metrics.address
        used = {one.address for one in info.data.get("listeners", ())}
        if address is not None and not is_any_port(address) and address in used:
            raise ValueError(f"metrics.address: {address!r} is the address of a listener")
        return telemetry


def _check_unique(what: str, values: Iterable[str]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"two listeners have the {what} {twice[0]!r}")


class MixerDocument(Model):
    """The whole document; ``status`` is ignored."""

    api_version: Literal["mixer.dev/v1alpha1"]
    kind: Literal["Mixer"]
    metadata: ObjectMeta
    spec: MixerSpec = Field(default_factory=MixerSpec)
    status: Any = None
