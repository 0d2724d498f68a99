"""The expressions of a configuration, compiled once.

One that is wrong refuses the whole configuration, whatever it belongs to: a rule that is dropped,
or an adapter that is passed over, would let pass what somebody meant to change or to stop.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mixer.cel import ExpressionError, Program, Result, checked_program
from mixer.config import (
    ConfigError,
    Configuration,
    HeaderOperationTemplate,
    MixerRule,
    Problem,
    WasmPlugin,
)
from mixer.config.problem import FieldPath
from mixer.engine.decision import Operation
from mixer.engine.rules.rule import Rule, Template
from mixer.engine.rules.rules import Rules
from mixer.engine.selection import Arrangement, By, Condition

_MATCH: FieldPath = ("metadata", "annotations", "mixer.dev/match")


@dataclass(frozen=True, slots=True)
class Expressions:
    """What came of them.

    Attributes:
        matches: Of adapters that have one, by the adapter's name.
        rules: That change headers; None where there are none.
        arrangements: What rules say of adapters, in order, by the adapter's name.
    """

    matches: Mapping[str, Program]
    rules: Rules | None
    arrangements: Mapping[str, Sequence[Arrangement]]


def compile_expressions(configuration: Configuration) -> Expressions:
    """Compile those of all adapters and rules.

    Raises:
        ConfigError: With everything that is wrong with any of them.
    """
    compiler = _Compiler()
    matches = {p.qualified_name: compiler.match(p) for p in configuration.plugins}
    rules = [(rule, compiler.rule(rule)) for rule in configuration.rules]
    if compiler.problems:
        raise ConfigError(compiler.problems)
    given = {name: program for name, program in matches.items() if program is not None}
    changing = [compiled for rule, compiled in rules if rule.spec.has_operations]
    arrangements: dict[str, list[Arrangement]] = {}
    for rule, compiled in rules:
        for name, arrangement in _arrangements(rule, compiled.condition):
            arrangements.setdefault(name, []).append(arrangement)
    return Expressions(given, Rules(changing) if changing else None, arrangements)


def _arrangements(rule: MixerRule, condition: Condition) -> Iterator[tuple[str, Arrangement]]:
    for index, said in enumerate(rule.spec.adapters):
        by = By(rule.qualified_name, rule, ("spec", "adapters", index, "pluginConfig"))
        arrangement = Arrangement(condition, by, not said.disabled, said.plugin_config)
        yield rule.adapter_name(said.name), arrangement


class _Compiler:
    """Compiles one after the other; what is wrong is kept until the end."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def match(self, plugin: WasmPlugin) -> Program | None:
        return self._program(plugin, _MATCH, plugin.metadata.annotations.match, Result.BOOL)

    def rule(self, rule: MixerRule) -> Rule:
        spec = rule.spec
        return Rule(
            rule.qualified_name,
            self._program(rule, ("spec", "match"), spec.match, Result.BOOL),
            self._templates(rule, "requestHeaderOperations", spec.request_header_operations),
            self._templates(rule, "responseHeaderOperations", spec.response_header_operations),
        )

    def _templates(
        self, rule: MixerRule, field: str, written: Sequence[HeaderOperationTemplate]
    ) -> Iterator[Template]:
        for index, one in enumerate(written):
            name, operation = one.name.encode(), Operation(one.operation)
            if operation is Operation.REMOVE:
                yield Template(name, None, operation)
            for number, text in enumerate(one.values):
                path = ("spec", field, index, "values", number)
                yield Template(name, self._program(rule, path, text, Result.TEXT), operation)

    def _program(
        self, owner: WasmPlugin | MixerRule, path: FieldPath, text: str | None, result: Result
    ) -> Program | None:
        """None where nothing is written, and where it is wrong."""
        try:
            return None if text is None else checked_program(text, result)
        except ExpressionError as error:
            self.problems.append(owner.problem(path, str(error)))
            return None
