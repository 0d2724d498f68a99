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
        ("match: 'true'", "spec: needs at least one of requestHeaderOperations and"),
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
