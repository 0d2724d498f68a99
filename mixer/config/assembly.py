"""Documents of all files together: what kind each is of, and what must be unique."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mixer.config import higress
from mixer.config.document import Document
from mixer.config.higress import Converted, HigressPluginDocument
from mixer.config.model import Model, Origin
from mixer.config.plugin import WasmPlugin, notices_of, resolve_plugin
from mixer.config.problem import ConfigError, Problem
from mixer.config.rule import MAX_RULES, MixerRule, MixerRuleDocument, notices_of_rule
from mixer.config.service import AdapterDefaults, MixerDocument, MixerSpec
from mixer.config.source import Source, read_documents
from mixer.config.validation import nearest, one_of, type_name, validate
from mixer.config.wasmplugin import WasmPluginDocument

_M = TypeVar("_M", bound=Model)

_LISTS = frozenset({"List", "WasmPluginList"})
_KINDS = ("WasmPlugin", "MixerRule", "Mixer", "List")


class _ListDocument(Model):
    """What ``kubectl get -o yaml`` prints for several resources; only ``items`` is looked at."""

    api_version: str
    kind: str
    metadata: Any = None
    items: list[Any]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A valid WasmPlugin and where it came from."""

    model: WasmPluginDocument
    document: Document
    origin: Origin
    converted: Converted | None = None


@dataclass(frozen=True, slots=True)
class Assembled:
    """What the documents come to.

    Attributes:
        mixer: Settings of the service.
        plugins: In the order in which they run.
        rules: In the order in which they are applied.
        notices: What is accepted and has no effect here, or not everywhere.
    """

    mixer: MixerSpec
    plugins: tuple[WasmPlugin, ...]
    rules: tuple[MixerRule, ...]
    notices: tuple[Problem, ...]


class Assembly:
    """Takes one file after the other; every problem is kept until the end.

    Args:
        environ: What ``valueFrom: HOST`` reads.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[Problem] = []
        self._plugins: list[_Parsed] = []
        self._rules: list[MixerRule] = []
        self._seen: dict[tuple[str, str], Document] = {}
        self._mixer: MixerSpec | None = None
        self._notices: list[Problem] = []

    def add(self, source: Source | Problem) -> None:
        """Add a file, or the reason why it could not be read."""
        if isinstance(source, Problem):
            self._problems.append(source)
            return
        documents, problems = read_documents(source)
        self._problems += problems
        origin = Origin(source.base, self._environ)
        for document in documents:
            for item in self._items(document, origin):
                self._take(item, origin)

    def finish(self) -> Assembled:
        """Put everything together.

        Raises:
            ConfigError: There was any problem.
        """
        self._check_adapters_of_rules()
        if self._problems:
            raise ConfigError(self._problems)
        mixer = self._mixer or MixerSpec()
        defaults = mixer.adapter_defaults
        plugins = sorted((_resolved(one, defaults) for one in self._plugins), key=lambda p: p.order)
        found = (
            self._notices,
            _never_run(plugins, self._rules),
            *(notices_of(one.model, one.document, one.origin) for one in self._plugins),
            *map(notices_of_rule, self._rules),
        )
        return Assembled(
            mixer,
            tuple(plugins),
            tuple(sorted(self._rules, key=lambda rule: rule.order)),
            tuple(notice for notices in found for notice in notices),
        )

    def _items(self, document: Document, origin: Origin) -> Iterator[Document]:
        """The document itself, or the items of a list."""
        data = document.data
        kind = data.get("kind") if isinstance(data, dict) else None
        if not isinstance(kind, str) or kind not in _LISTS:
            yield document
            return
        parsed = self._validated(_ListDocument, document, origin)
        for index, item in enumerate(parsed.items if parsed else ()):
            yield document.item(("items", index), item)

    def _take(self, document: Document, origin: Origin) -> None:
        data = document.data
        if not isinstance(data, dict):
            self._problem(document, (), f"must be a mapping, not {type_name(data)}")
        elif "kind" not in data:
            self._problem(document, ("kind",), "is required")
        elif data["kind"] == "WasmPlugin":
            self._take_plugin(document, origin)
        elif data["kind"] == "MixerRule":
            self._take_rule(document, origin)
        elif data["kind"] == "Mixer":
            self._take_mixer(document, origin)
        else:
            self._problem(document, ("kind",), f"unknown kind: {one_of(_KINDS, data['kind'])}")

    def _take_plugin(self, document: Document, origin: Origin) -> None:
        self._note_name("WasmPlugin", document)
        match document.data:
            case {"apiVersion": higress.API_VERSION}:
                self._take_higress(document, origin)
            case _:
                if parsed := self._validated(WasmPluginDocument, document, origin):
                    self._plugins.append(_Parsed(parsed, document, origin))

    def _take_higress(self, document: Document, origin: Origin) -> None:
        parsed = self._validated(HigressPluginDocument, document, origin)
        if parsed is None:
            return
        converted = higress.convert(parsed, document)
        self._notices += converted.notices
        if converted.document is not None:
            made = _Parsed(converted.document, document, origin, converted)
            self._plugins.append(made)

    def _take_rule(self, document: Document, origin: Origin) -> None:
        self._note_name("MixerRule", document)
        parsed = self._validated(MixerRuleDocument, document, origin)
        if parsed is None:
            return
        rule = MixerRule(metadata=parsed.metadata, spec=parsed.spec, document=document)
        self._rules.append(rule)
        if len(self._rules) == MAX_RULES + 1:
            self._problem(document, ("kind",), f"there may be at most {MAX_RULES} rules")

    def _take_mixer(self, document: Document, origin: Origin) -> None:
        self._only_once(("Mixer", ""), document, ("kind",), "only one Mixer may be configured")
        if parsed := self._validated(MixerDocument, document, origin):
            self._mixer = parsed.spec

    def _check_adapters_of_rules(self) -> None:
        """Find names of adapters that are not there: a rule for nobody is a mistake."""
        known = {name for kind, name in self._seen if kind == "WasmPlugin"}
        metas = (one.model.metadata for one in self._plugins)
        services = {meta.qualified_name for meta in metas if meta.annotations.service}
        for rule in self._rules:
            named: set[str] = set()
            for index, adapter in enumerate(rule.spec.adapters):
                name = rule.adapter_name(adapter.name)
                if message := _unfit(name, known, services, named):
                    path = ("spec", "adapters", index, "name")
                    self._problems.append(rule.problem(path, message))
                named.add(name)

    def _note_name(self, kind: str, document: Document) -> None:
        """Find equal names among all of a kind, also among those with other problems."""
        match document.data:
            case {"metadata": {"name": str(name), **rest}}:
                namespace = rest.get("namespace")
                qualified = f"{namespace}/{name}" if namespace else name
                path = ("metadata", "name")
                self._only_once((kind, qualified), document, path, "the name is taken")

    def _only_once(
        self, key: tuple[str, str], document: Document, path: tuple[str, ...], message: str
    ) -> None:
        first = self._seen.setdefault(key, document)
        if first is not document:
            where = f"{first.file}:{first.line(path)}"
            self._problem(document, path, f"{message}: the first is at {where}")

    def _validated(self, model: type[_M], document: Document, origin: Origin) -> _M | None:
        result = validate(model, document, origin)
        if isinstance(result, list):
            self._problems += result
            return None
        return result

    def _problem(self, document: Document, path: tuple[str, ...], message: str) -> None:
        self._problems.append(document.problem(path, message))


def _resolved(one: _Parsed, defaults: AdapterDefaults) -> WasmPlugin:
    return resolve_plugin(one.model, one.document, one.origin, defaults, one.converted)


def _never_run(plugins: Iterable[WasmPlugin], rules: Iterable[MixerRule]) -> Iterator[Problem]:
    """Tell of adapters that wait for a rule which is not there."""
    said = ((rule, one) for rule in rules for one in rule.spec.adapters)
    run = {rule.adapter_name(one.name) for rule, one in said if not one.disabled}
    for plugin in plugins:
        if not (plugin.runs_by_default or plugin.host_rules or plugin.qualified_name in run):
            path = ("metadata", "annotations", "mixer.dev/default")
            yield plugin.problem(path, "it never runs: no rule has it run")


def _unfit(
    name: str, known: Collection[str], services: Collection[str], named: Collection[str]
) -> str:
    """Why a rule cannot name this adapter; empty where it can."""
    if name in named:
        return f"names adapter {name} again"
    if name not in known:
        return f"there is no adapter {name}{nearest(name, known)}"
    return f"no request goes through {name}: it is a service" if name in services else ""
