"""``metadata`` of a document, and our own settings in its annotations.

Source: the Kubernetes API reference of ``ObjectMeta``.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from mixer.config.expression import Expression
from mixer.config.model import Choice, DnsLabel, DnsSubdomain, Model, StringMap, no_strings
from mixer.config.units import Backoff, CpuLimit, MemoryLimit, ValidDuration, VmAge

ANNOTATION_PREFIX = "mixer.dev/"

# Set by the API server: `kubectl get -o yaml` prints them, and they say nothing to us.
_SERVER_FIELDS = frozenset(
    {
        *("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"),
        *("deletionGracePeriodSeconds", "managedFields", "ownerReferences", "finalizers"),
        *("selfLink", "generateName", "clusterName"),
    }
)


class LogLevel(StrEnum):
    """The least severe message of an adapter that is logged; Proxy-Wasm's names."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"


class Isolation(StrEnum):
    """How long a VM lives: as long as it works, or for one stream."""

    SHARED = "shared"
    REQUEST = "request"


class Default(StrEnum):
    """What an adapter does with a request that no rule configures it for."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class MatchRules(StrEnum):
    """Who matches the ``matchRules`` of a WasmPlugin of Higress."""

    MODULE = "module"
    HOST = "host"


class Compat(StrEnum):
    """What a module is answered where SDKs do not take what Envoy answers."""

    ENVOY = "envoy"
    LENIENT = "lenient"


MAX_CAPABILITIES = 256
_CAPABILITY = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _capabilities(value: object) -> object:
    """Take a list apart; a default comes as it is."""
    if not isinstance(value, str):
        return value
    names = [name for part in value.split(",") if (name := part.strip())]
    if not names:
        raise ValueError("names no capability; leave the annotation out to allow all")
    if len(names) > MAX_CAPABILITIES:
        raise ValueError(f"names {len(names)} capabilities; {MAX_CAPABILITIES} at the most")
    for name in names:
        if not _CAPABILITY.fullmatch(name):
            raise ValueError(f"{name!r} is no host call or callback, such as proxy_log or fd_write")
    return frozenset(names)


MAX_QUOTAS = 256
_MOST_USES = (1 << 31) - 1


def _use_count(value: object) -> object:
    """Read a count; a default comes as it is."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"-1|[0-9]{1,10}", value) or int(value) > _MOST_USES:
        raise ValueError(f"must be a number from 0 to {_MOST_USES}, or -1 for any number of times")
    return int(value)


def _quotas(value: object) -> object:
    """Take a list apart; a default comes as it is."""
    if not isinstance(value, str):
        return value
    names = frozenset(name for part in value.split(",") if (name := part.strip()))
    if not names or len(names) > MAX_QUOTAS:
        raise ValueError(f"must name 1 to {MAX_QUOTAS} quotas, separated by commas, or be '*'")
    return names


class AdapterAnnotations(Model):
    """Our settings for one adapter: annotations under ``mixer.dev/`` of a WasmPlugin.

    All annotations are strings. Others than ours are left out, because `kubectl apply` keeps a copy
    of the whole document in one of them, with its secrets.

    Attributes:
        memory_limit: Bytes of linear memory, 1Mi to 4Gi; a quantity in YAML.
        cpu_limit: Seconds of one callback, 1ms to 60s; a duration in YAML.
        start_cpu_limit: Seconds of module start and of configuration, 1ms to 60s.
        vm_id: Adapters with the same module, VM id and VM configuration share a VM.
        vm_config: What the module reads as the configuration of its VM.
        isolation: ``shared``, or ``request`` for a VM of its own for each stream.
        reload_backoff: Seconds after its start for which a VM with FAIL_RELOAD is not replaced.
        max_vm_memory: Bytes of linear memory from which on a VM is replaced.
        max_vm_age: Seconds after which a VM is replaced.
        service: ``singleton`` for a plugin that runs without requests, in one worker.
        access_logger: Whether the plugin only logs, in its root context, ``true`` or ``false``.
        root_id: Which of the module's root contexts to run; ``spec.pluginName`` when not given.
        allow_on_headers_stop_iteration: Envoy's setting of that name, ``true`` or ``false``.
        log_level: The least severe message that is logged.
        compat: ``envoy`` or ``lenient``: the answer where SDKs do not take Envoy's.
        allowed_capabilities: The only host calls and callbacks, separated by commas; None for all.
        valid_duration: Seconds that an answer holds where the module does not say.
        valid_use_count: How often it may be used again; negative for any number of times.
        quotas: Names of those that the adapter answers for, separated by commas; ``*`` for all.
        match: CEL over the attributes; the adapter runs unless it is false.
        default: ``enabled``, or ``disabled`` for an adapter that runs where a rule says so.
        match_rules: ``module`` or ``host``: who matches Higress's ``matchRules``; the module if it
            knows them, where it is not given.
    """

    model_config = ConfigDict(
        alias_generator=lambda name: ANNOTATION_PREFIX + name.replace("_", "-")
    )

    memory_limit: MemoryLimit | None = None
    cpu_limit: CpuLimit | None = None
    start_cpu_limit: CpuLimit | None = None
    vm_id: str = ""
    vm_config: Annotated[str, Field(max_length=1 << 20, repr=False)] = ""
    isolation: Choice[Isolation] = Isolation.SHARED
    reload_backoff: Backoff = 1.0
    max_vm_memory: MemoryLimit | None = None
    max_vm_age: VmAge | None = None
    service: Literal["singleton"] | None = None
    access_logger: Literal["true", "false"] = "false"
    root_id: str | None = None
    allow_on_headers_stop_iteration: Literal["true", "false"] = "false"
    log_level: Choice[LogLevel] = LogLevel.INFO
    compat: Choice[Compat] = Compat.ENVOY
    allowed_capabilities: Annotated[frozenset[str] | None, BeforeValidator(_capabilities)] = None
    valid_duration: ValidDuration | None = None
    valid_use_count: Annotated[int | None, BeforeValidator(_use_count)] = None
    quotas: Annotated[frozenset[str], BeforeValidator(_quotas)] = frozenset()
    match: Expression | None = None
    default: Choice[Default] = Default.ENABLED
    match_rules: Choice[MatchRules] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _string(cls, value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("annotations are strings: put quotes around it")
        return value

    @model_validator(mode="after")
    def _one_life(self) -> Self:
        if self.isolation is not Isolation.REQUEST:
            return self
        for name in ("service", "max_vm_memory", "max_vm_age"):
            if getattr(self, name) is not None:
                annotation = f"{ANNOTATION_PREFIX}{name.replace('_', '-')}"
                raise ValueError(
                    f"{annotation} has no meaning with {ANNOTATION_PREFIX}isolation: request,"
                    " where a VM lives for one stream"
                )
        return self

    @model_validator(mode="after")
    def _only_logs(self) -> Self:
        if self.access_logger == "false":
            return self
        others = {"service": self.service is not None, "quotas": bool(self.quotas),
                  "isolation": self.isolation is Isolation.REQUEST}  # fmt: skip
        for name, is_given in others.items():
            if is_given:
                raise ValueError(
                    f"{ANNOTATION_PREFIX}{name} has no meaning with"
                    f" {ANNOTATION_PREFIX}access-logger, which is only told of what is over"
                )
        return self

    @model_validator(mode="after")
    def _requests_to_match(self) -> Self:
        given = {"match": self.match is not None, "default": self.default is Default.DISABLED}
        for name in (name for name, is_given in given.items() if is_given and self.service):
            raise ValueError(
                f"{ANNOTATION_PREFIX}{name} has no meaning with {ANNOTATION_PREFIX}service,"
                " through which no request goes"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _only_ours(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if k.startswith(ANNOTATION_PREFIX)}


class _Named(Model):
    """What identifies a document.

    Attributes:
        name: DNS-1123 subdomain.
        namespace: DNS-1123 label, or None.
        labels: Not used by the service.
    """

    name: DnsSubdomain
    namespace: DnsLabel | None = None
    labels: StringMap = Field(default_factory=no_strings)

    @model_validator(mode="before")
    @classmethod
    def _without_server_fields(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if k not in _SERVER_FIELDS}

    @property
    def qualified_name(self) -> str:
        """``namespace/name``, or ``name`` without a namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class ObjectMeta(_Named):
    """Metadata of a document that takes no settings from its annotations."""

    annotations: StringMap = Field(default_factory=no_strings, repr=False)


class AdapterMeta(_Named):
    """Metadata of a WasmPlugin."""

    annotations: AdapterAnnotations = AdapterAnnotations()
