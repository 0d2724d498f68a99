"""Higress's ``matchRules``, matched by this host.

Source: the matchers in Higress's SDKs for Go and Rust, which agree but for routes with services.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mixer.attributes import AttributeBag
from mixer.cel import Demand, Find, Lookup
from mixer.config import HostRules, MatchRule, MatchRules, WasmPlugin
from mixer.engine.selection.arrangement import Arrangement, By
from mixer.engine.selection.ordered import Condition
from mixer.vm import ModuleError, read_module

_ROUTE = Lookup("xds.route_name")
_PARTS = 4
"""Of the name of a cluster: ``outbound|port|subset|host``."""


@dataclass(frozen=True, slots=True)
class _HostName:
    """The host without its port."""

    def read(self, find: Find) -> Any:
        host = find("request.host")
        return _without_port(host) if isinstance(host, str) else None


_HOST = _HostName()

_KEYS = tuple("_match_domain_".encode(encoding) for encoding in ("ascii", "utf-16-le"))
"""What a module with a matcher holds, as the texts of its language are encoded."""


def rules_for_host(plugin: WasmPlugin) -> HostRules | None:
    """The rules of a plugin that are this host's to match; None where its module matches them.

    Without ``mixer.dev/match-rules`` that is for the module if it knows the keys of such rules.
    """
    chosen = plugin.metadata.annotations.match_rules
    if plugin.host_rules is None or chosen is MatchRules.MODULE:
        return None
    if chosen is None and _knows_rules(plugin):
        return None
    return plugin.host_rules


def _knows_rules(plugin: WasmPlugin) -> bool:
    try:
        code = read_module(plugin.module_path)
    except ModuleError:  # it is told where it is loaded
        return True
    return any(key in code for key in _KEYS)


def arrangements_of(plugin: WasmPlugin, rules: HostRules | None) -> Iterator[Arrangement]:
    """What these rules say of the plugin, in order."""
    for rule in rules.rules if rules is not None else ():
        by = By(f"matchRules[{rule.number}]", plugin, ("spec", "matchRules", rule.number, "config"))
        yield Arrangement(condition(rule.match), by, configuration=rule.configuration)


def condition(rule: MatchRule) -> Condition:
    """When a rule is for a request: routes count before domains, and those before services."""
    if rule.routes:
        return _of_routes(frozenset(rule.routes), rule.service)
    return _of_domains(rule.domain) if rule.domain else Condition(_of_services(rule.service))


def _of_routes(routes: frozenset[str], services: Sequence[str]) -> Condition:
    served = _of_services(services) if services else None

    def holds(attributes: AttributeBag) -> bool:
        named = attributes.get("xds.route_name") in routes
        return named and (served is None or served(attributes))

    return Condition(holds, ({_ROUTE: Demand(exact=routes)},))


def _of_domains(domains: Sequence[str]) -> Condition:
    suffixes = tuple(d[1:] for d in domains if d.startswith("*"))
    prefixes = tuple(d[:-1] for d in domains if d.endswith("*") and not d.startswith("*"))
    exact = frozenset(d for d in domains if "*" not in (d[0], d[-1]))

    def holds(attributes: AttributeBag) -> bool:
        host = _HOST.read(attributes.get)
        return host is not None and (
            host in exact or host.startswith(prefixes) or host.endswith(suffixes)
        )

    return Condition(holds, ({_HOST: Demand(exact, frozenset(prefixes), frozenset(suffixes))},))


def _of_services(services: Sequence[str]) -> Callable[[AttributeBag], bool]:
    wanted = frozenset(services)

    def holds(attributes: AttributeBag) -> bool:
        cluster = attributes.get("xds.cluster_name")
        parts = cluster.split("|") if isinstance(cluster, str) else []
        if len(parts) != _PARTS:
            return False
        return parts[3] in wanted or f"{parts[3]}:{parts[1]}" in wanted

    return holds


def _without_port(host: str) -> str:
    before, colon, _ = host.rpartition(":")
    return before if colon and "]" not in host[len(before) :] else host
