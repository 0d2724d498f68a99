"""``metadata`` of a document, and our own settings in its annotations.

Source: the Kubernetes API reference of ``ObjectMeta``.
"""

from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from mixer.config.model import Choice, DnsLabel, DnsSubdomain, Model, StringMap, no_strings
from mixer.config.units import CpuLimit, MemoryLimit

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


class AdapterAnnotations(Model):
    """Our settings for one adapter: annotations under ``mixer.dev/`` of a WasmPlugin.

    All annotations are strings. Others than ours are left out, because `kubectl apply` keeps a copy
    of the whole document in one of them, with its secrets.

    Attributes:
        memory_limit: Bytes of linear memory, 1Mi to 4Gi; a quantity in YAML.
        cpu_limit: Seconds of one callback, 1ms to 60s; a duration in YAML.
        start_cpu_limit: Seconds of module start and of configuration, 1ms to 60s.
        vm_id: Adapters with the same module and VM id share a VM where the engine does so.
        root_id: Which of the module's root contexts to run; ``spec.pluginName`` when not given.
        allow_on_headers_stop_iteration: Envoy's setting of that name, ``true`` or ``false``.
        log_level: The least severe message that is logged.
    """

    model_config = ConfigDict(
        alias_generator=lambda name: ANNOTATION_PREFIX + name.replace("_", "-")
    )

    memory_limit: MemoryLimit | None = None
    cpu_limit: CpuLimit | None = None
    start_cpu_limit: CpuLimit | None = None
    vm_id: str = ""
    root_id: str | None = None
    allow_on_headers_stop_iteration: Literal["true", "false"] = "false"
    log_level: Choice[LogLevel] = LogLevel.INFO

    @field_validator("*", mode="before")
    @classmethod
    def _string(cls, value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("annotations are strings: put quotes around it")
        return value

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
