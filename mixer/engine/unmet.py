"""What configurations of the adapters that are shipped name, and the service does not have.

Modules are told of it only when they ask, which may be long after the start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mixer.callouts.naming import Clusters
from mixer.callouts.ports import UnknownClusterError
from mixer.config import Configuration, Problem, WasmPlugin
from mixer.config.problem import FieldPath
from mixer.engine.clusters import configured_clusters
from mixer.engine.given import Given, given_to

_EACH = None
"""Any item of a list."""

_CLUSTERS: dict[str, dict[tuple[str | None, ...], str]] = {
    "auth": {
        ("jwt", "providers", _EACH, "remote_jwks", "http_uri", "cluster"):
            "no keys can be fetched, and requests with a token of this provider get 503",
        ("introspection", "http_uri", "cluster"):
            "no token can be asked about, and requests with such a token get 503",
    },
    "telemetry": {
        ("otlp", "cluster"):
            "requests go on, and what is to be sent is dropped, and counted by "
            "telemetry_otlp_dropped_total",
    },
}  # fmt: skip
_NO_LEDGER = {
    "deny": "requests get 503 (with onError: allow they pass without a record)",
    "allow": "requests pass without a record",
}


def unmet(configuration: Configuration) -> Iterator[Problem]:
    """Tell which clusters, and which ledger, plugins need that the service does not have.

    What rules configure a plugin with is looked at as its own configuration is.
    """
    clusters = configured_clusters(configuration.mixer)
    for plugin in configuration.plugins:
        scheme, _, module = plugin.spec.url.rpartition("://")
        if scheme != "builtin":
            continue
        all_given = [*given_to(plugin, configuration)]
        for given in all_given:
            yield from _without_cluster(given, module, clusters)
        if module == "billing" and configuration.mixer.ledger is None:
            yield _without_ledger(plugin, all_given)


def _without_cluster(given: Given, module: str, clusters: Clusters) -> Iterator[Problem]:
    for pattern, effect in _CLUSTERS.get(module, {}).items():
        for path, name in _found(given.content, pattern):
            try:
                clusters.find(name)
            except UnknownClusterError as error:
                message = f"{error}; {effect}: add it to spec.clusters of the Mixer document"
                found = given.problem(path, message)
                yield replace(found, field=f"{found.field}{_below(path)}")


def _below(path: FieldPath) -> str:
    """In full, as no problem tells it of a configuration: names of these fields are no secrets."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _found(given: Any, pattern: tuple[str | None, ...]) -> Iterator[tuple[FieldPath, str]]:
    """Texts at a path, and where each is; what is of another form is the module's to refuse."""
    if not pattern:
        if isinstance(given, str):
            yield (), given
        return
    step, rest = pattern[0], pattern[1:]
    items: Any = ()
    if step is _EACH and isinstance(given, list):
        items = enumerate(given)
    elif isinstance(given, dict) and step in given:
        items = ((step, given[step]),)
    for key, item in items:
        for path, text in _found(item, rest):
            yield (key, *path), text


def _without_ledger(plugin: WasmPlugin, given: Sequence[Given]) -> Problem:
    denies = any(one.content.get("onError") != "allow" for one in given)
    effect = _NO_LEDGER["deny" if denies else "allow"]
    message = f"there is no ledger, so that {effect}: add spec.ledger to the Mixer document"
    return plugin.problem(("spec", "url"), message)
