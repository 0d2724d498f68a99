"""Higress's ``WasmPlugin``, and what its controller makes of it.

Source: extensions.higress.io/v1alpha1, and the controller's conversion to Istio's WasmPlugin. A
module made with one of Higress's SDKs gets the rules with its configuration, under ``_rules_``, and
matches them itself. For other modules this host does, by the same conditions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mixer.config.document import Document
from mixer.config.metadata import AdapterMeta
from mixer.config.model import Choice, Items, Model
from mixer.config.plugin_config import OptionalConfig, to_json
from mixer.config.problem import Problem
from mixer.config.wasmplugin import ModuleSpec, WasmPluginDocument, WasmPluginSpec

API_VERSION = "extensions.higress.io/v1alpha1"

MAX_MATCH_RULES = 1000
MAX_NAMES = 1000

_NOT_BESIDE = "has no effect beside pluginConfig, as in Higress"
_NOT_RUN = "the plugin is not run, as in Higress: there is no matchRules item that is enabled"

_Name = Annotated[str, Field(min_length=1, max_length=1024)]
Names = Annotated[Items[_Name], Field(max_length=MAX_NAMES)]
Struct = dict[str, Any]


class RouteType(StrEnum):
    """What kind of route a rule is for."""

    HTTP = "HTTP"
    GRPC = "GRPC"


class MatchRule(Model):
    """The configuration for some requests; of several rules the first one counts.

    Attributes:
        ingress: It is for these routes, by name; then ``domain`` does not count.
        domain: It is for these hosts; ``*`` may stand at one end.
        service: It is for these upstreams, ``name`` or ``name:port``; and for ``ingress`` only of
            these.
        config: What the module gets.
        config_disable: Whether there is no such rule.
        route_type: Of the routes in ``ingress``.
    """

    ingress: Names = ()
    domain: Names = ()
    service: Names = ()
    config: Struct = Field(default_factory=dict, repr=False)
    config_disable: bool = False
    route_type: Choice[RouteType] = RouteType.HTTP

    @model_validator(mode="after")
    def _for_something(self) -> Self:
        if not (self.config_disable or self.ingress or self.domain or self.service):
            raise ValueError("needs at least one of ingress, domain and service")
        return self

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of the routes, as Higress's gateway has them."""
        prefix = "" if self.route_type is RouteType.HTTP else f"{self.route_type}/"
        return tuple(f"{prefix}{name}" for name in self.ingress)

    @property
    def as_module_gets_it(self) -> dict[str, Any]:
        """The configuration with the conditions in it."""
        conditions = {
            "_match_route_": self.routes,
            "_match_service_": self.service,
            "_match_domain_": self.domain,
        }
        return self.config | {name: [*given] for name, given in conditions.items() if given}


class HigressPluginSpec(ModuleSpec):
    """``spec`` of Higress's WasmPlugin.

    Attributes:
        plugin_config: What the module gets, in place of everything else.
        default_config: What it gets for requests that no rule is for.
        default_config_disable: Whether there is no such.
        match_rules: What it gets for some requests.
    """

    plugin_config: OptionalConfig = None
    default_config: Struct | None = Field(default=None, repr=False)
    default_config_disable: bool = False
    match_rules: Annotated[Items[MatchRule], Field(max_length=MAX_MATCH_RULES)] = ()


class HigressPluginDocument(Model):
    """The whole document; ``status`` is ignored."""

    api_version: Literal["extensions.higress.io/v1alpha1"]
    kind: Literal["WasmPlugin"]
    metadata: AdapterMeta
    spec: HigressPluginSpec
    status: Annotated[Any, Field(repr=False)] = None


@dataclass(frozen=True, slots=True)
class HostRule:
    """A rule that the host matches.

    Attributes:
        match: Has the conditions.
        configuration: For the module; secret.
        number: Which one of ``matchRules`` it is.
    """

    match: MatchRule
    configuration: bytes = field(repr=False)
    number: int


@dataclass(frozen=True, slots=True)
class HostRules:
    """The rules of a plugin whose module does not match them itself.

    Attributes:
        rules: The first that a request meets counts.
        default: What the module gets for other requests, secret; None where it does not run.
    """

    rules: tuple[HostRule, ...]
    default: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Converted:
    """What becomes of a document of Higress.

    Attributes:
        document: Istio's, with the rules in its configuration; None where it is not run.
        field: The field of ``spec`` with what the module gets.
        host_rules: The rules for modules without a matcher; None where there are no rules.
        notices: What has no effect.
    """

    document: WasmPluginDocument | None
    field: str = "pluginConfig"
    host_rules: HostRules | None = None
    notices: tuple[Problem, ...] = ()


def convert(parsed: HigressPluginDocument, document: Document) -> Converted:
    """Do as Higress's controller does."""
    spec = parsed.spec
    notices = tuple(_notices(spec, document))
    if spec.plugin_config is not None:
        return Converted(_istio(parsed, spec.plugin_config), notices=notices)
    default = None if spec.default_config_disable else spec.default_config
    rules = [(n, rule) for n, rule in enumerate(spec.match_rules) if not rule.config_disable]
    if not rules:
        made = None if spec.default_config_disable else _istio(parsed, to_json(default or {}))
        return Converted(made, "defaultConfig", notices=notices)
    listed = [rule.as_module_gets_it for _, rule in rules]
    host = tuple(HostRule(rule, to_json(rule.config), number) for number, rule in rules)
    together = to_json({**(default or {}), "_rules_": listed})
    # An empty default beside rules is none: so do the matchers of Higress's SDKs.
    alone = to_json(default) if default else None
    return Converted(_istio(parsed, together), "matchRules", HostRules(host, alone), notices)


def _notices(spec: HigressPluginSpec, document: Document) -> Iterator[Problem]:
    if spec.plugin_config is not None:
        for name in ("default_config", "default_config_disable", "match_rules"):
            if getattr(spec, name):
                alias = HigressPluginSpec.model_fields[name].alias or name
                yield document.problem(("spec", alias), _NOT_BESIDE)
    elif spec.default_config_disable and all(rule.config_disable for rule in spec.match_rules):
        yield document.problem(("spec", "defaultConfigDisable"), _NOT_RUN)


def _istio(parsed: HigressPluginDocument, configuration: bytes) -> WasmPluginDocument:
    common = {name: getattr(parsed.spec, name) for name in ModuleSpec.model_fields}
    return WasmPluginDocument(
        api_version="extensions.istio.io/v1alpha1",
        kind="WasmPlugin",
        metadata=parsed.metadata,
        spec=WasmPluginSpec(**common, plugin_config=configuration),
    )
