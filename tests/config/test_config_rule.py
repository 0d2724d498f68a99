"""MixerRule documents, and the expressions of adapters."""

from textwrap import indent

import pytest

from mixer.config import HeaderAction, HeaderOperationTemplate, MixerRule, loads

ONE = "requestHeaderOperations: [{name: x-a, values: ['\"1\"']}]"


def rule_text(spec: str = ONE, metadata: str = "name: r") -> str:
    """Text of one rule; ``spec`` begins at line 5."""
    head = f"apiVersion: mixer.dev/v1alpha1\nkind: MixerRule\nmetadata: {{{metadata}}}\nspec:\n"
    return f"{head}{indent(spec, '  ')}\n"


def rules(*texts: str) -> tuple[MixerRule, ...]:
    """The rules of a configuration."""
    return loads("---\n".join(texts), file="a.yaml").rules


def test_a_rule_as_mixer_had_it():
    """Match, operations on both sides, REPLACE where no operation is named; names in lower case."""
    spec = """\
match: request.method == "GET"
priority: 7
requestHeaderOperations:
- {name: X-User, values: ['"a"', request.path]}
- {name: x-debug, operation: REMOVE}
responseHeaderOperations:
- {name: x-served, values: ['"b"'], operation: APPEND}
"""
    [rule] = rules(rule_text(spec, "name: r, namespace: ns"))
    assert (rule.qualified_name, rule.spec.priority) == ("ns/r", 7)
    assert rule.spec.match == 'request.method == "GET"'
    assert rule.spec.request_header_operations == (
        HeaderOperationTemplate(name="x-user", values=('"a"', "request.path")),
        HeaderOperationTemplate(name="x-debug", operation=HeaderAction.REMOVE),
    )
    assert rule.spec.response_header_operations == (
        HeaderOperationTemplate(name="x-served", values=('"b"',), operation=HeaderAction.APPEND),
    )


def test_rules_are_ordered_by_priority_then_namespace_then_name():
    """Higher priority first, wherever the documents are written."""
    found = rules(
        rule_text(metadata="name: b, namespace: a"),
        rule_text(metadata="name: a, namespace: b"),
        rule_text(metadata="name: c"),
        rule_text(f"{ONE}\npriority: 1", metadata="name: z"),
        rule_text(f"{ONE}\npriority: -1", metadata="name: a"),
    )
    assert [rule.qualified_name for rule in found] == ["z", "c", "a/b", "b/a", "a"]


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        ("{name: x}", "REPLACE needs at least one of values"),
        ("{name: x, operation: APPEND}", "APPEND needs at least one of values"),
        ("{name: x, operation: REMOVE, values: [a]}", "REMOVE takes no values"),
        ("{name: ':path', operation: REMOVE}", ":path can only be replaced"),
        ("{name: Host, operation: APPEND, values: [a]}", "host can only be replaced"),
        ("{name: ':status', values: [a]}", "no request has a pseudo-header :status"),
    ],
)
def test_an_operation_that_cannot_be_meant_is_refused(text_refused, operation, problem):
    """The problem names the operation."""
    [found] = text_refused(rule_text(f"requestHeaderOperations:\n- {operation}"))
    assert found.startswith(f"a.yaml:6: spec.requestHeaderOperations[0]: {problem}")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "':'", '"a\\nb"', "é", "x" * 257])
def test_a_name_that_no_header_has_is_refused(text_refused, name):
    """Only tokens are names: a line break would make two headers of one."""
    operation = f"requestHeaderOperations:\n- name: {name or chr(34) * 2}\n  values: [a]"
    [found] = text_refused(rule_text(operation))
    assert found == (
        "a.yaml:6: spec.requestHeaderOperations[0].name: must be the name of a header: "
        "a token of up to 256 bytes"
    )


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("match: 'true'", "spec: needs at least one of adapters, requestHeaderOperations and"),
        (f"{ONE}\nmatch: ''", "spec.match: must not be empty"),
        (f"{ONE}\nmatch: true", "spec.match: must be a string, not a boolean"),
        (f"{ONE}\nmatch: {'a' * 4097}", "spec.match: must have at most 4096 characters"),
        (f"{ONE}\nmach: a", "spec.mach: unknown field; did you mean 'match'?"),
        (f"{ONE}\npriority: 2147483648", "spec.priority: must be at most 2147483647"),
        (
            "requestHeaderOperations: [{name: x, values: [1]}]",
            "spec.requestHeaderOperations[0].values[0]: must be a string, not an integer",
        ),
        (
            f"requestHeaderOperations: [{{name: x, values: [{', '.join('a' * 17)}]}}]",
            "spec.requestHeaderOperations[0].values: must have at most 16 items",
        ),
        (
            f"responseHeaderOperations: [{', '.join(['{name: x, operation: REMOVE}'] * 65)}]",
            "spec.responseHeaderOperations: must have at most 64 items",
        ),
        (
            "responseHeaderOperations: [{name: ':status', values: [a]}]",
            "spec.responseHeaderOperations[0]: pseudo-headers of a response cannot be changed",
        ),
        (
            "requestHeaderOperations: [{name: x, operation: RENAME}]",
            "spec.requestHeaderOperations[0].operation: must be one of REPLACE, REMOVE, APPEND",
        ),
    ],
)
def test_bounds_and_mistakes_are_told_with_the_field(text_refused, spec, problem):
    """Everything is refused that has no meaning."""
    [found] = text_refused(rule_text(spec))
    assert problem in found
    assert found.startswith("a.yaml:")


def plugin_text(metadata: str = "name: t") -> str:
    """Text of one adapter, in five lines."""
    return (
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n"
        f"metadata: {{{metadata}}}\nspec:\n  url: ./t.wasm\n"
    )


def test_what_a_rule_says_of_adapters():
    """Another configuration, that it does not run, or that it runs as it is."""
    adapters = """\
adapters:
- {name: t, pluginConfig: {a: [1, 2.0]}}
- {name: ns/u, disabled: true}
- {name: v}
- {name: w, pluginConfig: {}}
"""
    plugins = [plugin_text(f"name: {n}") for n in "tvw"]
    [rule] = rules(rule_text(adapters), plugin_text("name: u, namespace: ns"), *plugins)
    said = [(one.name, one.plugin_config, one.disabled) for one in rule.spec.adapters]
    assert said == [
        ("t", b'{"a":[1,2]}', False), ("ns/u", None, True), ("v", None, False), ("w", b"", False)
    ]  # fmt: skip


def test_a_rule_names_adapters_of_its_own_namespace():
    """As references in Kubernetes do."""
    spec = "adapters: [{name: t}, {name: other/t}]"
    [rule] = rules(
        rule_text(spec, "name: r, namespace: ns"),
        plugin_text("name: t, namespace: ns"),
        plugin_text("name: t, namespace: other"),
    )
    names = [rule.adapter_name(one.name) for one in rule.spec.adapters]
    assert names == ["ns/t", "other/t"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            "[{name: sendr}]",
            "spec.adapters[0].name: there is no adapter sendr; did you mean 'sender'?",
        ),
        ("[{name: ns/t}]", "spec.adapters[0].name: there is no adapter ns/t"),
        (
            "[{name: sender}]",
            "spec.adapters[0].name: no request goes through sender: it is a service",
        ),
        ("[{name: t}, {name: t}]", "spec.adapters[1].name: names adapter t again"),
        ("[{name: A}]", "spec.adapters[0].name: must be a DNS name"),
        ("[{name: a/b/c}]", "spec.adapters[0].name: must be a DNS label"),
        ("[{}]", "spec.adapters[0].name: is required"),
        (
            "[{name: t, disabled: true, pluginConfig: {secret: 1}}]",
            "spec.adapters[0]: an adapter that is disabled takes no pluginConfig",
        ),
        ("[{name: t, pluginConfig: secret}]", "spec.adapters[0].pluginConfig: must be a mapping"),
        ("[{name: t, enabled: true}]", "spec.adapters[0].enabled: unknown field"),
        (f"[{', '.join(['{name: t}'] * 65)}]", "spec.adapters: must have at most 64 items"),
    ],
)
def test_what_a_rule_cannot_say_of_adapters(text_refused, spec, problem):
    """Each mistake has its line; nothing of a configuration is told."""
    service = plugin_text("name: sender, annotations: {mixer.dev/service: singleton}")
    texts = [rule_text(f"adapters: {spec}"), plugin_text(), service]
    [found] = text_refused("---\n".join(texts))
    assert found.startswith(f"a.yaml:5: {problem}")
    assert "secret" not in found


def test_a_rule_for_an_adapter_that_is_wrong_is_not_wrong_itself(text_refused):
    """One mistake is one problem."""
    wrong = plugin_text().replace("./t.wasm", "oci://t")
    [found] = text_refused("---\n".join([rule_text("adapters: [{name: t}]"), wrong]))
    assert "spec.url" in found


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (ONE, True),
        ("adapters: [{name: t, disabled: true}]", True),
        ("adapters: [{name: t}]", False),
    ],
)
def test_an_adapter_that_no_rule_has_run_is_told(rule, told):
    """It waits for a rule that is not there."""
    plugin = plugin_text("name: t, annotations: {mixer.dev/default: disabled}")
    notices = loads("---\n".join([plugin, rule_text(rule)]), file="a.yaml").notices
    never = "a.yaml:3: metadata.annotations[mixer.dev/default]: it never runs: no rule has it run"
    assert [str(one) for one in notices] == [never] * told


def test_a_service_runs_by_no_default(text_refused):
    """No request goes through it, whatever rules say."""
    annotations = "{mixer.dev/default: disabled, mixer.dev/service: singleton}"
    [found] = text_refused(plugin_text(f"name: t, annotations: {annotations}"))
    assert "mixer.dev/default has no meaning with mixer.dev/service" in found


def test_a_rule_that_is_written_twice_is_refused(text_refused):
    """Names are unique among the rules; an adapter may have the name of a rule."""
    assert text_refused("---\n".join([rule_text(), rule_text()])) == [
        "a.yaml:9: metadata.name: the name is taken: the first is at a.yaml:3"
    ]


def test_too_many_rules_are_refused(text_refused):
    """A thousand, and one problem however many there are."""
    texts = [rule_text(metadata=f"name: r{number}") for number in range(1002)]
    [found] = text_refused("---\n".join(texts))
    assert found == "a.yaml:6002: kind: there may be at most 1000 rules"


def test_a_response_header_that_is_removed_is_told_about():
    """Only some of those who ask can be told to remove one."""
    spec = "responseHeaderOperations:\n- {name: a, values: [b]}\n- {name: x, operation: REMOVE}"
    [notice] = loads(rule_text(spec), file="a.yaml").notices
    assert str(notice).startswith(
        "a.yaml:7: spec.responseHeaderOperations[1].operation: ext_authz cannot say it"
    )


def test_the_match_of_an_adapter(plugin, refused):
    """An annotation, with the same bounds."""
    metadata = "name: a, annotations: {{mixer.dev/match: {}}}"
    found = plugin(metadata=metadata.format("'request.path == \"/\"'"))
    assert found.metadata.annotations.match == 'request.path == "/"'
    assert refused(metadata=metadata.format("x" * 4097)) == [
        "a.yaml:3: metadata.annotations[mixer.dev/match]: must have at most 4096 characters"
    ]


def test_a_plugin_without_requests_has_nothing_to_match(refused):
    """It would be ignored."""
    metadata = "name: a, annotations: {mixer.dev/match: 'true', mixer.dev/service: singleton}"
    [found] = refused(metadata=metadata)
    assert "mixer.dev/match has no meaning with mixer.dev/service" in found
