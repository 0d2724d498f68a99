"""The ``MixerRule`` document: how adapters run for a request, and what becomes of its headers.

The shape is that of a rule of Mixer, whose ``match`` and header operations it has; expressions are
CEL, and are compiled by the engine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mixer.config.document import Document
from mixer.config.expression import Expression
from mixer.config.metadata import ObjectMeta
from mixer.config.model import Choice, Items, Model, dns_label, dns_subdomain
from mixer.config.plugin_config import OptionalConfig
from mixer.config.problem import FieldPath, Problem

MAX_RULES = 1000
MAX_ADAPTERS = 64
MAX_OPERATIONS = 64
MAX_VALUES = 16

_NAME = re.compile(r":?[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LONGEST_NAME = 256
_REPLACED_ONLY = frozenset({":authority", ":method", ":path", ":scheme", "host"})
_NOT_IN_EXT_AUTHZ = (
    "ext_authz cannot say it: a request that asks that way, and that the rule is for, is answered"
    " with 503"
)


class HeaderAction(StrEnum):
    """What an operation does to a header."""

    REPLACE = "REPLACE"
    REMOVE = "REMOVE"
    APPEND = "APPEND"


def _header_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(f"must be the name of a header: a token of up to {_LONGEST_NAME} bytes")
    return name.lower()


def _adapter_name(name: str) -> str:
    namespace, slash, last = name.rpartition("/")
    if slash:
        dns_label(namespace)
    dns_subdomain(last)
    return name


class HeaderOperationTemplate(Model):
    """One operation; each value makes one of its own, in order.

    Attributes:
        name: Lower-case header name.
        values: Expressions that give text; none with REMOVE.
        operation: REPLACE, REMOVE or APPEND.
    """

    name: Annotated[str, AfterValidator(_header_name)]
    values: Annotated[Items[Expression], Field(max_length=MAX_VALUES)] = ()
    operation: Choice[HeaderAction] = HeaderAction.REPLACE

    @model_validator(mode="after")
    def _values_to_set(self) -> Self:
        if self.operation is HeaderAction.REMOVE and self.values:
            raise ValueError("REMOVE takes no values")
        if self.operation is not HeaderAction.REMOVE and not self.values:
            raise ValueError(f"{self.operation} needs at least one of values")
        return self


def _request_operation(template: HeaderOperationTemplate) -> HeaderOperationTemplate:
    name = template.name
    if name.startswith(":") and name not in _REPLACED_ONLY:
        raise ValueError(f"no request has a pseudo-header {name}")
    if name in _REPLACED_ONLY and template.operation is not HeaderAction.REPLACE:
        raise ValueError(f"{name} can only be replaced: every request has exactly one")
    return template


def _response_operation(template: HeaderOperationTemplate) -> HeaderOperationTemplate:
    if template.name.startswith(":"):
        raise ValueError("pseudo-headers of a response cannot be changed")
    return template


class RuledAdapter(Model):
    """How an adapter runs for the requests of a rule.

    Attributes:
        name: As ``metadata.name`` of its WasmPlugin, which is of the rule's namespace, or
            ``namespace/name``.
        plugin_config: What the module gets in place of the WasmPlugin's; None leaves it at that.
        disabled: Whether it does not run.
    """

    name: Annotated[str, AfterValidator(_adapter_name)]
    plugin_config: OptionalConfig = None
    disabled: bool = False

    @model_validator(mode="after")
    def _runs_or_not(self) -> Self:
        if self.disabled and self.plugin_config is not None:
            raise ValueError("an adapter that is disabled takes no pluginConfig")
        return self


class MixerRuleSpec(Model):
    """``spec`` of a MixerRule.

    Attributes:
        match: An expression: the rule is for requests for which it is true; for all without one.
        adapters: How adapters run for them, as far as no rule before this one says so.
        request_header_operations: On what the upstream gets.
        response_header_operations: On what the downstream gets of the upstream's response.
        priority: Rules of a higher one come first; then the name decides.
    """

    match: Expression | None = None
    adapters: Annotated[Items[RuledAdapter], Field(max_length=MAX_ADAPTERS)] = ()
    request_header_operations: Annotated[
        Items[Annotated[HeaderOperationTemplate, AfterValidator(_request_operation)]],
        Field(max_length=MAX_OPERATIONS),
    ] = ()
    response_header_operations: Annotated[
        Items[Annotated[HeaderOperationTemplate, AfterValidator(_response_operation)]],
        Field(max_length=MAX_OPERATIONS),
    ] = ()
    priority: Annotated[int, Field(ge=-(1 << 31), le=(1 << 31) - 1)] = 0

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.adapters or self.has_operations):
            raise ValueError(
                "needs at least one of adapters, requestHeaderOperations and"
                " responseHeaderOperations"
            )
        return self

    @property
    def has_operations(self) -> bool:
        """Whether it changes headers."""
        return bool(self.request_header_operations or self.response_header_operations)


class MixerRuleDocument(Model):
    """The whole document; ``status`` is ignored."""

    api_version: Literal["mixer.dev/v1alpha1"]
    kind: Literal["MixerRule"]
    metadata: ObjectMeta
    spec: MixerRuleSpec
    status: Annotated[Any, Field(repr=False)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerRule:
    """One rule.

    Attributes:
        metadata: Name and namespace.
        spec: As written.
        document: Knows the lines of the fields.
    """

    metadata: ObjectMeta
    spec: MixerRuleSpec
    document: Document = field(repr=False, compare=False)

    def problem(self, path: FieldPath, message: str) -> Problem:
        """Say what is wrong with a field, such as ``("spec", "match")``, and where it is."""
        return self.document.problem(path, message)

    @property
    def qualified_name(self) -> str:
        """``namespace/name``, or ``name`` without a namespace; unique among the rules."""
        return self.metadata.qualified_name

    def adapter_name(self, written: str) -> str:
        """The qualified name of an adapter, as this rule writes it."""
        namespace = self.metadata.namespace
        return written if "/" in written or not namespace else f"{namespace}/{written}"

    @property
    def order(self) -> tuple[int, str, str]:
        """Sort key: priority (higher first), then namespace and name."""
        return -self.spec.priority, self.metadata.namespace or "", self.metadata.name


def notices_of_rule(rule: MixerRule) -> Iterator[Problem]:
    """Tell what not every front end can do."""
    for index, template in enumerate(rule.spec.response_header_operations):
        if template.operation is HeaderAction.REMOVE:
            path = ("spec", "responseHeaderOperations", index, "operation")
            yield rule.problem(path, _NOT_IN_EXT_AUTHZ)
