"""What holds for any input."""

import contextlib
import json
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixer.config import ConfigError, loads

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
JSON_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
WORDS = st.sampled_from(
    ["kind:", "WasmPlugin", "Mixer", "List", "spec:", "items:", "metadata:", "name:", "null", "<<:"]
) | st.sampled_from(["{", "}", "[", "]", "&x ", "*x", "!!int ", "'", '"', ": ", "- ", "\n", "  "])


def as_yaml(value):
    """JSON text, with the characters escaped that YAML does not take as they are."""
    text = json.dumps(value, ensure_ascii=False)
    return NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


@settings(deadline=None)
@given(st.text() | st.lists(WORDS, max_size=40).map("".join))
@example("kind: List\nitems: [{kind: List}]\napiVersion: v1")
@example("\ud800")
@example("\0")
def test_any_text_is_read_or_refused(text):
    """Nothing but ConfigError is ever raised."""
    with contextlib.suppress(ConfigError):
        loads(text)


@settings(deadline=None)
@given(
    value=st.recursive(
        JSON_VALUE,
        lambda inner: st.dictionaries(
            st.sampled_from(["url", "vmConfig", "env", "priority", "match", "selector", "phase"]),
            inner,
        ),
    )
)
def test_any_spec_is_read_or_refused(as_plugin, value):
    """Values of any type in any field are read or refused."""
    with contextlib.suppress(ConfigError):
        loads(as_plugin(url="", spec=as_yaml(value)))


@settings(deadline=None)
@given(value=st.dictionaries(TEXT, JSON_VALUE, min_size=1, max_size=5))
def test_the_module_gets_the_configuration_as_written(as_plugin, value):
    """Any JSON object arrives as that object, in its order, and as compact UTF-8."""
    [plugin] = loads(as_plugin(f"pluginConfig: {as_yaml(value)}")).plugins
    arrived = json.loads(plugin.configuration)
    assert arrived == value
    assert list(arrived) == list(value)


def test_numbers_keep_their_kind(as_plugin):
    """Integers stay exact, dates stay text, and a number without fraction has no point."""
    text = "pluginConfig: {a: 9007199254740993, b: 1.0, c: 1.5, d: 2020-01-01, e: 1e300, f: é}"
    [plugin] = loads(as_plugin(text)).plugins
    assert plugin.configuration.decode() == (
        '{"a":9007199254740993,"b":1,"c":1.5,"d":"2020-01-01","e":1e+300,"f":"é"}'
    )


def test_an_empty_configuration_is_none(as_plugin):
    """Istio hands nothing over for an empty struct."""
    [plugin] = loads(as_plugin("pluginConfig: {}")).plugins
    assert plugin.configuration == b""
