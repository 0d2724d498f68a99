"""What the modules of a configuration are given: by their WasmPlugin, and by rules."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mixer.config import Configuration, MixerRule, Problem, WasmPlugin
from mixer.config.problem import FieldPath
from mixer.engine.selection.higress import rules_for_host


@dataclass(frozen=True, slots=True)
class Given:
    """A configuration that a module gets, for all requests or for some.

    Attributes:
        owner: Where it is written.
        path: The field there.
        content: Parsed, and secret: a mapping.
    """

    owner: WasmPlugin | MixerRule
    path: FieldPath
    content: Any = field(repr=False)

    def problem(self, path: FieldPath, message: str) -> Problem:
        """Say what is wrong with a field of it, and where that is written.

        Nothing within a configuration has a name in the problem: it may be a secret.
        """
        line = self.owner.problem((*self.path, *path), message).line
        found = self.owner.problem(self.path, message)
        return Problem(found.file, line, found.field, message)


def given_to(plugin: WasmPlugin, configuration: Configuration) -> Iterator[Given]:
    """Everything that a plugin's module is given, whichever request it is for."""
    yield from _own(plugin)
    for rule in configuration.rules:
        for index, said in enumerate(rule.spec.adapters):
            given, name = said.plugin_config, rule.adapter_name(said.name)
            if given is not None and name == plugin.qualified_name:
                path = ("spec", "adapters", index, "pluginConfig")
                yield Given(rule, path, _parsed(given))


def _own(plugin: WasmPlugin) -> Iterator[Given]:
    rules = rules_for_host(plugin)
    if rules is None:
        yield Given(plugin, ("spec", plugin.configuration_field), _parsed(plugin.configuration))
        return
    if rules.default is not None:
        yield Given(plugin, ("spec", "defaultConfig"), _parsed(rules.default))
    for rule in rules.rules:
        path = ("spec", "matchRules", rule.number, "config")
        yield Given(plugin, path, _parsed(rule.configuration))


def _parsed(configuration: bytes) -> Any:
    return json.loads(configuration or b"{}")
