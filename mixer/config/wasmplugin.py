"""The ``WasmPlugin`` document, with the fields and the bounds that Istio gives it.

Source: the reference of Istio's WasmPlugin, extensions.istio.io/v1alpha1. Attributes carry the
names of its fields in snake_case; what has no effect in a central service is accepted, so that a
document can move here from a mesh unchanged, and is listed in ``WITHOUT_EFFECT``.
"""

import re
from collections import Counter
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from mixer.config.metadata import AdapterMeta
from mixer.config.model import Choice, Items, Model
from mixer.config.module import ModuleUrl, Sha256
from mixer.config.plugin_config import PluginConfig
from mixer.config.workloads import (
    ONLY_GATEWAYS,
    WHERE_TOLD,
    Labels,
    PolicyTargetReference,
    WorkloadSelector,
    wanted_labels,
)

_C_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT32 = Field(ge=-(1 << 31), le=(1 << 31) - 1)

_NO_PULL = "has no effect: modules are files here, nothing is pulled"
WITHOUT_EFFECT = {
    "image_pull_policy": _NO_PULL,
    "image_pull_secret": _NO_PULL,
    "verification_key": "has no effect: Istio does not define how signatures are made; use sha256",
}
"""Fields of ``WasmPluginSpec`` that are accepted and not used, and why."""


class Phase(StrEnum):
    """Where an adapter runs; adapters without phase run last."""

    UNSPECIFIED = "UNSPECIFIED_PHASE"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class FailStrategy(StrEnum):
    """What a request gets whose adapter has failed.

    FAIL_CLOSE refuses, FAIL_OPEN goes on without the adapter, FAIL_RELOAD makes a new VM for the
    next request and refuses while it cannot.
    """

    FAIL_CLOSE = "FAIL_CLOSE"
    FAIL_OPEN = "FAIL_OPEN"
    FAIL_RELOAD = "FAIL_RELOAD"


class PullPolicy(StrEnum):
    """When a mesh pulls an image."""

    UNSPECIFIED = "UNSPECIFIED_POLICY"
    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"


class PluginType(StrEnum):
    """What a plugin is for: HTTP requests, also where nothing is said, or TCP connections."""

    UNSPECIFIED = "UNSPECIFIED_PLUGIN_TYPE"
    HTTP = "HTTP"
    NETWORK = "NETWORK"


class WorkloadMode(StrEnum):
    """Direction of traffic in a mesh."""

    UNDEFINED = "UNDEFINED"
    CLIENT = "CLIENT"
    SERVER = "SERVER"
    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"


class EnvValueSource(StrEnum):
    """Where the value of an environment variable is from."""

    INLINE = "INLINE"
    HOST = "HOST"


class EnvVar(Model):
    """One environment variable of the VM; ``value`` only with INLINE."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    value_from: Choice[EnvValueSource] = EnvValueSource.INLINE
    value: Annotated[str | None, Field(max_length=2048, repr=False)] = None

    @field_validator("name")
    @classmethod
    def _c_identifier(cls, name: str) -> str:
        if not _C_IDENTIFIER.fullmatch(name):
            raise ValueError("must be a C identifier: letters, digits and '_', no digit first")
        return name

    @field_validator("value")
    @classmethod
    def _ends_nowhere(cls, value: str | None) -> str | None:
        # WASI hands variables over as strings that end at the first zero.
        if value and "\0" in value:
            raise ValueError("must not contain a NUL character")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.value is not None and self.value_from is EnvValueSource.HOST:
            raise ValueError("value may only be set when valueFrom is INLINE")
        return self


def _each_once(env: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    name, count = max(Counter(one.name for one in env).items(), key=lambda n: n[1], default=("", 0))
    if count > 1:
        raise ValueError(f"names must be unique: {name!r} is given {count} times")
    return env


class VmConfig(Model):
    """Configuration of the VM: at most 256 environment variables."""

    env: Annotated[Items[EnvVar], Field(max_length=256), AfterValidator(_each_once)] = ()


class PortSelector(Model):
    """A destination port, 1 to 65535."""

    number: Annotated[int, Field(ge=1, le=65535)]


class TrafficSelector(Model):
    """Traffic that a plugin is for: in this mode, and to one of these ports if there are any."""

    mode: Choice[WorkloadMode] = WorkloadMode.UNDEFINED
    ports: Items[PortSelector] = ()


class ModuleSpec(Model):
    """What the WasmPlugin of Istio and that of Higress have in common."""

    url: ModuleUrl
    sha256: Sha256 = None
    image_pull_policy: Choice[PullPolicy] = PullPolicy.UNSPECIFIED
    image_pull_secret: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    verification_key: Annotated[str | None, Field(repr=False)] = None
    plugin_name: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    phase: Choice[Phase] = Phase.UNSPECIFIED
    fail_strategy: Choice[FailStrategy] = FailStrategy.FAIL_CLOSE
    priority: Annotated[int | None, _INT32] = None
    vm_config: VmConfig = VmConfig()


class WasmPluginSpec(ModuleSpec):
    """``spec`` of a WasmPlugin; ``plugin_config`` is the JSON text that the module gets."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: Annotated[Items[PolicyTargetReference], Field(max_length=16)] = ()
    plugin_config: PluginConfig = b""
    match: Items[TrafficSelector] = ()
    type: Choice[PluginType] = PluginType.UNSPECIFIED

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(map(bool, (self.selector, self.target_ref, self.target_refs))) > 1:
            raise ValueError("only one of selector, targetRef and targetRefs may be set")
        return self

    @property
    def workload_labels(self) -> tuple[Labels, ...]:
        """Labels of which a workload must have one set; none where it may be any workload."""
        target = () if self.target_ref is None else (self.target_ref,)
        return wanted_labels(self.selector, (*self.target_refs, *target))

    @property
    def workload_notice(self) -> tuple[str, str] | None:
        """The field that selects workloads, and what it does here; None where none does."""
        fields = ("selector", "target_ref", "target_refs")
        field = next((name for name in fields if getattr(self, name)), None)
        if field is None or (self.selector is not None and not self.selector.match_labels):
            return None
        return field, WHERE_TOLD if self.workload_labels else ONLY_GATEWAYS


class WasmPluginDocument(Model):
    """The whole document; ``status`` is ignored."""

    api_version: Literal["extensions.istio.io/v1alpha1"]
    kind: Literal["WasmPlugin"]
    metadata: AdapterMeta
    spec: WasmPluginSpec
    status: Annotated[Any, Field(repr=False)] = None
