"""A WasmPlugin ready to be run: defaults applied, files and environment found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mixer.config.document import Document
from mixer.config.higress import Converted, HostRules
from mixer.config.metadata import AdapterMeta, Compat, Default, Isolation, LogLevel
from mixer.config.model import Origin
from mixer.config.module import module_path
from mixer.config.problem import FieldPath, Problem
from mixer.config.service import AdapterDefaults
from mixer.config.wasmplugin import (
    WITHOUT_EFFECT,
    EnvValueSource,
    EnvVar,
    FailStrategy,
    Phase,
    PluginType,
    WasmPluginDocument,
    WasmPluginSpec,
)

_PHASE_ORDER = (Phase.AUTHN, Phase.AUTHZ, Phase.STATS, Phase.UNSPECIFIED)


@dataclass(frozen=True, slots=True)
class AdapterLimits:
    """Bounds of one adapter.

    Attributes:
        memory_bytes: Linear memory.
        cpu: Seconds of one callback.
        start_cpu: Seconds of module start and of configuration.
    """

    memory_bytes: int
    cpu: float
    start_cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WasmPlugin:
    """One adapter.

    Attributes:
        metadata: Name, namespace and our annotations, as written.
        spec: As written.
        file: Where it is written.
        line: Where it begins, from 1.
        module_path: Absolute; not checked to exist.
        env: Of the VM, values of the host filled in; secret.
        limits: Annotations, or the defaults of the Mixer document.
        document: Knows the lines of the fields.
        host_rules: Higress's ``matchRules``, for a module that does not match them itself.
        configuration_field: The field of ``spec`` with what the module gets.
    """

    metadata: AdapterMeta
    spec: WasmPluginSpec
    file: str
    line: int
    module_path: Path
    env: Mapping[str, str] = field(repr=False)
    limits: AdapterLimits
    document: Document = field(repr=False, compare=False)
    host_rules: HostRules | None = None
    configuration_field: str = "pluginConfig"

    def problem(self, path: FieldPath, message: str) -> Problem:
        """Say what is wrong with a field, such as ``("spec", "url")``, and where it is written."""
        return self.document.problem(path, message)

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name

    @property
    def namespace(self) -> str | None:
        """``metadata.namespace``."""
        return self.metadata.namespace

    @property
    def qualified_name(self) -> str:
        """``namespace/name``, or ``name`` without a namespace; unique in a configuration."""
        return self.metadata.qualified_name

    @property
    def plugin_name(self) -> str:
        """``spec.pluginName``, or ``metadata.name``."""
        return self.spec.plugin_name or self.name

    @property
    def configuration(self) -> bytes:
        """JSON text for the module, in UTF-8; empty without ``pluginConfig``; secret."""
        return self.spec.plugin_config

    @property
    def expected_sha256(self) -> str | None:
        """64 hexadecimal digits in lower case, or None; the engine compares it with the module."""
        return self.spec.sha256

    @property
    def phase(self) -> Phase:
        """``spec.phase``."""
        return self.spec.phase

    @property
    def priority(self) -> int:
        """``spec.priority``; higher runs first in a phase."""
        return self.spec.priority or 0

    @property
    def fail_strategy(self) -> FailStrategy:
        """``spec.failStrategy``."""
        return self.spec.fail_strategy

    @property
    def vm_id(self) -> str:
        """Annotation ``mixer.dev/vm-id``."""
        return self.metadata.annotations.vm_id

    @property
    def vm_configuration(self) -> bytes:
        """Annotation ``mixer.dev/vm-config``, in UTF-8; may be secret."""
        return self.metadata.annotations.vm_config.encode()

    @property
    def has_vm_for_each_stream(self) -> bool:
        """Annotation ``mixer.dev/isolation``."""
        return self.metadata.annotations.isolation is Isolation.REQUEST

    @property
    def is_service(self) -> bool:
        """Annotation ``mixer.dev/service``: it runs by itself, and no request goes through it."""
        return self.metadata.annotations.service is not None

    @property
    def is_network(self) -> bool:
        """``spec.type`` NETWORK: it is for TCP connections, and no HTTP request goes through it."""
        return self.spec.type is PluginType.NETWORK

    @property
    def runs_by_default(self) -> bool:
        """Annotation ``mixer.dev/default``: whether it runs where no rule says anything."""
        return self.metadata.annotations.default is Default.ENABLED

    @property
    def is_access_logger(self) -> bool:
        """Annotation ``mixer.dev/access-logger``: it only logs, and no request goes through it."""
        return self.metadata.annotations.access_logger == "true"

    @property
    def quotas(self) -> frozenset[str]:
        """Annotation ``mixer.dev/quotas``: the names, or ``*``."""
        return self.metadata.annotations.quotas

    @property
    def root_id(self) -> str:
        """Annotation ``mixer.dev/root-id``, or ``spec.pluginName`` as Istio does, or empty."""
        annotated = self.metadata.annotations.root_id
        return (self.spec.plugin_name or "") if annotated is None else annotated

    @property
    def allow_on_headers_stop_iteration(self) -> bool:
        """Annotation ``mixer.dev/allow-on-headers-stop-iteration``."""
        return self.metadata.annotations.allow_on_headers_stop_iteration == "true"

    @property
    def log_level(self) -> LogLevel:
        """Annotation ``mixer.dev/log-level``."""
        return self.metadata.annotations.log_level

    @property
    def compat(self) -> Compat:
        """Annotation ``mixer.dev/compat``."""
        return self.metadata.annotations.compat

    @property
    def allowed_capabilities(self) -> frozenset[str] | None:
        """Annotation ``mixer.dev/allowed-capabilities``, or None where it is not given."""
        return self.metadata.annotations.allowed_capabilities

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Sort key: phase, then priority (higher first), then namespace and name."""
        phase = _PHASE_ORDER.index(self.phase)
        return phase, -self.priority, self.namespace or "", self.name


def resolve_plugin(
    parsed: WasmPluginDocument,
    document: Document,
    origin: Origin,
    defaults: AdapterDefaults,
    converted: Converted | None = None,
) -> WasmPlugin:
    """Apply defaults, find the module's path, and read the environment.

    Args:
        parsed: The document, as Istio has it.
        document: What was written.
        origin: Of the file.
        defaults: Of the Mixer document.
        converted: Where it was written for Higress.
    """
    of_higress = converted or Converted(parsed)
    return WasmPlugin(
        metadata=parsed.metadata,
        spec=parsed.spec,
        file=document.file,
        line=document.line(),
        module_path=module_path(parsed.spec.url, origin.base),
        env=_environment(parsed.spec, origin),
        limits=_limits(parsed.metadata, defaults),
        document=document,
        host_rules=of_higress.host_rules,
        configuration_field=of_higress.field,
    )


def notices_of(parsed: WasmPluginDocument, document: Document, origin: Origin) -> list[Problem]:
    """Tell what the document says without effect here."""
    spec, fields = parsed.spec, WasmPluginSpec.model_fields
    notices = [
        document.problem(("spec", fields[name].alias or name), why)
        for name, why in WITHOUT_EFFECT.items()
        if getattr(spec, name) != fields[name].default
    ]
    if selected := spec.workload_notice:
        name, why = selected
        notices.append(document.problem(("spec", fields[name].alias or name), why))
    for index, variable in enumerate(spec.vm_config.env):
        if _value(variable, origin) is None:
            path = ("spec", "vmConfig", "env", index, "name")
            message = "left out: the environment of the service has no UTF-8 text of this name"
            notices.append(document.problem(path, message))
    return notices


def _limits(metadata: AdapterMeta, defaults: AdapterDefaults) -> AdapterLimits:
    given = metadata.annotations
    return AdapterLimits(
        memory_bytes=given.memory_limit or defaults.memory_limit,
        cpu=given.cpu_limit or defaults.cpu_limit,
        start_cpu=given.start_cpu_limit or defaults.start_cpu_limit,
    )


def _environment(spec: WasmPluginSpec, origin: Origin) -> Mapping[str, str]:
    found = ((one.name, _value(one, origin)) for one in spec.vm_config.env)
    return MappingProxyType({name: value for name, value in found if value is not None})


def _value(variable: EnvVar, origin: Origin) -> str | None:
    if variable.value_from is EnvValueSource.INLINE:
        return variable.value or ""
    value = origin.environ.get(variable.name)
    # Bytes that are not UTF-8 arrive from the system as lone surrogates.
    return value if value is not None and _is_utf8(value) else None


def _is_utf8(text: str) -> bool:
    return text == text.encode(errors="replace").decode()
