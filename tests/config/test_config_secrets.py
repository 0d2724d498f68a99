"""Values of pluginConfig and env are told to nobody."""

import logging
import traceback

import pytest

from mixer.config import ConfigError, loads

SECRET = "hunter2"


@pytest.mark.parametrize(
    "spec",
    [
        "pluginConfig: hunter2",
        "pluginConfig: [hunter2]",
        "pluginConfig: {hunter2: 1, hunter2: 2}",
        "pluginConfig: {a: {hunter2: .nan}}",
        "pluginConfig: {a: !hunter2 x}",
        "pluginConfig: {a: *hunter2}",
        "pluginConfig: {a: !!int hunter2}",
        "pluginConfig: {a: {[hunter2]: 1}}",
        "pluginConfig: {a: &hunter2 [*hunter2]}",
        "pluginConfig: {a: %hunter2}",
        "pluginConfig: {a: @hunter2}",
        "pluginConfig: {a: `hunter2}",
        "pluginConfig: {a: 'hunter2}",
        'pluginConfig: {a: "\\hunter2"}',
        "pluginConfig: {a: hunter2: b: }",
        "pluginConfig: {a: !hunter2!hunter2 x}",
        "vmConfig: {env: hunter2}",
        "vmConfig: {env: [hunter2]}",
        "vmConfig: {env: [A=hunter2]}",
        "vmConfig: {env: [{name: A=hunter2}]}",
        "vmConfig: {env: [{name: A, value: [hunter2]}]}",
        "vmConfig: {env: [{name: A, valueFrom: hunter2}]}",
        "vmConfig: {env: [{name: A, valueFrom: HOST, value: hunter2}]}",
        'vmConfig: {env: [{name: A, value: "hunter2\\0"}]}',
    ],
)
def test_no_problem_tells_a_secret(as_plugin, spec):
    """Neither the message nor the traceback of a refusal has the value in it."""
    with pytest.raises(ConfigError) as caught:
        loads(as_plugin(spec))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.problems)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_no_repr_tells_a_secret(as_plugin, caplog):
    """Printing or logging a configuration does not show what is secret in it."""
    text = as_plugin(
        "pluginConfig: {key: hunter2}\nvmConfig: {env: [{name: A, value: hunter2}]}",
        metadata="name: a, annotations: {kubectl.kubernetes.io/last: hunter2}",
    )
    found = loads(text)
    logging.getLogger().warning("%s %r", found, found.plugins[0].spec.vm_config)
    assert SECRET not in repr(found) + str(found) + caplog.text
    assert (found.plugins[0].configuration, found.plugins[0].env["A"]) == (
        b'{"key":"hunter2"}',
        SECRET,
    )
