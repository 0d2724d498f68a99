"""Input that is no configuration of Mixer: a message with file and line, whatever it is."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.attributes import ValueType
from mixer.config import ConfigError
from mixer.config.document import Document
from mixer.convert import Conversion, as_yaml, convert, convert_documents
from mixer.convert.cexl import CexlError, Translator
from mixer.convert.cexl.checking import check
from mixer.convert.cexl.parser import MAX_CHARACTERS, MAX_DEPTH, parse
from tests.convert.expressions import VOCABULARY

_HEAD = "apiVersion: config.istio.io/v1alpha2\n"


def _told(tmp_path: Path, content: str | bytes) -> str:
    """What is told of a file, its path left out."""
    path = tmp_path / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        told = "\n".join(map(str, convert(path).findings))
    except ConfigError as error:
        told = str(error)
    return told.replace(f"{path}", "a.yaml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"x" * ((1 << 20) + 1), "a.yaml: is larger than 1048576 bytes"),
        ("a: &a [*a]\n", "a.yaml:1: a[0]: alias of nothing before it"),
        ("a: [1\n", "a.yaml:2: not YAML"),
        ("[" * 100, "a.yaml:1: [0][0][0][0][0][0][0][0]: nested more than 64 levels deep"),
        ("kind: {{ .Values.kind }}\n", "write it out first, with `helm template`"),
        (b"a: \xff\n", "a.yaml:1: is not UTF-8 text"),
        ("- 1\n", "a.yaml:1: not carried over: must be a mapping, not a list"),
        (_HEAD, "a.yaml:1: kind: not carried over: is required"),
        (_HEAD + "kind: 5\n", "a.yaml:2: kind: not carried over: must be a string"),
        (_HEAD + "kind: rule\n", "a.yaml:1: metadata.name: not carried over: is required"),
        (
            _HEAD + "kind: ruel\nmetadata: {name: a}\n",
            "a.yaml:2: kind: not carried over: unknown kind: must be one of ",
        ),
        (
            _HEAD + "kind: rule\nmetadata: {name: a}\nspec: 5\n",
            "a.yaml:4: spec: not carried over: must be a mapping, not an integer",
        ),
        (
            _HEAD + "kind: rule\nmetadata: {name: a}\nspec: {actions: {}}\n",
            "a.yaml:4: spec.actions: not carried over: must be a list, not a mapping",
        ),
        (
            _HEAD + "kind: rule\nmetadata: {name: a}\nspec: {actions: [5]}\n",
            "a.yaml:4: spec.actions[0]: not carried over: must be a mapping, not an integer",
        ),
        (
            _HEAD + "kind: handler\nmetadata: {name: a}\nspec: {compiledAdapter: 0}\n",
            "a.yaml:4: spec.compiledAdapter: not carried over: must be a string, not an integer",
        ),
        (
            _HEAD + "kind: handler\nmetadata: {name: a}\nspec: {adapter: theirs}\n",
            "a.yaml:4: spec.compiledAdapter: not carried over: adapter 'theirs' runs outside",
        ),
        (
            _HEAD + "kind: instance\nmetadata: {name: a}\nspec: {zarams: {}}\n",
            "a.yaml:4: spec.compiledTemplate: not carried over: is required",
        ),
        (
            _HEAD + "kind: attributemanifest\nmetadata: {name: a}\n"
            "spec: {attributes: {a.b: {valueType: NUMBER}}}\n",
            "a.yaml:4: spec.attributes[a.b].valueType: not carried over: must be one of ",
        ),
        (
            _HEAD + "kind: attributemanifest\nmetadata: {name: a}\n"
            "spec: {attributes: {request.path: {valueType: INT64}}}\n",
            "request.path is a STRING already",
        ),
    ],
)
def test_bad_files(tmp_path: Path, content: str | bytes, told: str) -> None:
    """Each is told with its place, and nothing else happens."""
    assert told in _told(tmp_path, content)


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """The second of two resources with one name is told, with the place of the first."""
    one = _HEAD + "kind: rule\nmetadata: {name: a}\nspec: {}\n---\n"
    told = _told(tmp_path, one + one)
    assert "a.yaml:8: metadata.name: not carried over: the name is taken: " in told
    assert "the first is at a.yaml:3" in told


def test_every_file_is_told(tmp_path: Path) -> None:
    """Files in folders are read, hidden ones are not, and all problems come at once."""
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("a.yaml", "b/c.yml", ".hidden/d.yaml", ".e.yaml"):
        (tmp_path / name).write_text("a: [1\n")
    (tmp_path / "notes.txt").write_text("a: [1\n")
    with pytest.raises(ConfigError) as raised:
        convert(tmp_path)
    found = {Path(one.file).relative_to(tmp_path).as_posix() for one in raised.value.problems}
    assert found == {"a.yaml", "b/c.yml"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named, with the reason."""
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read: No such file"):
        convert(tmp_path / "gone.yaml")


_KEYS = st.text(max_size=2)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(("", "a", "a.b", "1s", "==", '"')),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=2),
    max_leaves=4,
)
_PARAMS = (
    "status", "validDuration", "overrides", "entryType", "quotas", "metrics", "name", "value",
    "dimensions", "variables", "severity", "severityLevels", "instanceName", "kind", "labelNames",
    "redisServerUrl", "attributes", "match", "actions", "handler", "instances", "values",
    "requestHeaderOperations", "valueType", "maxAmount", "compiledAdapter", "params",
)  # fmt: skip


@st.composite
def _resources(draw: st.DrawFn) -> list[dict[str, Any]]:
    def some(depth: int) -> Any:
        if depth == 0:
            return draw(_JSON)
        keys = draw(st.lists(st.sampled_from(_PARAMS), max_size=4))
        made = {key: some(depth - 1) for key in keys}
        return draw(st.sampled_from((made, [made], draw(_JSON))))

    kinds = draw(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=4))
    found = []
    for kind in kinds:
        spec = some(draw(st.integers(0, 3)))
        adapter, template = draw(st.sampled_from(_PAIRS))
        if kind in {"handler", "instance"}:
            spec = {"compiledAdapter": adapter, "compiledTemplate": template, "params": spec}
        found.append({"apiVersion": "config.istio.io/v1", "kind": kind,
                      "metadata": {"name": "a"}, "spec": spec})  # fmt: skip
    rule = {"match": draw(st.sampled_from(("", "true", "request.path == `a`"))),
            "actions": [{"handler": "a", "instances": ["a"]}]}  # fmt: skip
    found.append({"apiVersion": "config.istio.io/v1", "kind": "rule",
                  "metadata": {"name": "b"}, "spec": rule})  # fmt: skip
    return found


_PAIRS = (
    ("denier", "checknothing"), ("listchecker", "listentry"), ("memquota", "quota"),
    ("redisquota", "quota"), ("stdio", "logentry"), ("stdio", "metric"), ("prometheus", "metric"),
)  # fmt: skip
_KINDS = ("rule", "handler", "handler", "instance", "instance", "attributemanifest", "denier")


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(_resources())
def test_any_values_are_converted_or_told(resources: list[dict[str, Any]]) -> None:
    """Whatever types the fields have, it ends without an exception, and is written."""
    documents = [Document("a.yaml", one, {}) for one in resources]
    conversion: Conversion = convert_documents(documents, "default", "istio-system")
    as_yaml(conversion.outputs)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * (MAX_CHARACTERS + 1), f"over {MAX_CHARACTERS} characters"),
        ("(" * (MAX_DEPTH + 1) + "b" + ")" * (MAX_DEPTH + 1), "levels deep"),
        ("!" * (MAX_DEPTH + 1) + "b", "levels deep"),
        (" && ".join(["b"] * (MAX_DEPTH + 2)), "levels deep"),
        ("m[" * 200 + "s" + "]" * 200, "levels deep"),
        ("s " * 3000, "over 2048 parts"),
        ("", "the expression ends where a value is expected"),
        ("@", "character 1: '@' is not part of the language"),
        ('"a', "character 1: the string has no end"),
        ('"\\q"', "an escape that Go does not know"),
        ('"\\xff"', "is not UTF-8"),
        ('"\\ud800"', "an escape that is no character"),
        ('"\\400"', "an escape beyond one byte"),
        ("'ab'", "single quotes hold one character"),
        ("0x10", "no decimal number of 64 bits"),
        ("9223372036854775808", "no decimal number of 64 bits"),
        ("1e999", "is too large"),
        ("s == 's' s", "'s' stands where the end of the expression is expected"),
        ("s ==\n's' ||\n b\n", ""),
        ("b\n|| b", "a line ends here, and with it the expression"),
        ("s.", "the expression ends where a name is expected"),
        ('"a".x', "only attributes have names with dots"),
        ("size(s", "where ',' or ')' is expected"),
        ("size(s, s)", "size() takes 1 arguments, not 2"),
        ("startsWith(s)", "startsWith() is called on a string"),
        ("s.size()", "size() is no method"),
        ("m == m", "'==' is not defined for STRING_MAP"),
        ("b < b", "'<' is not defined for BOOL"),
        ('span + "1s"', "'+' is not defined for DURATION"),
        ('s == "0"', "'==' wants STRING here, not DURATION"),
        ("-1 == i", "'-' is no sign of Mixer's expressions"),
        ("i * 2 == 4", "'*' is no operator of Mixer's expressions"),
        ('ip == ip("10.1.12")', "this is no IP address"),
        ('t == timestamp("242233")', "this is no time as in RFC 3339"),
        ('"a(".matches(s)', "this is no regular expression"),
        ('(s == "a") | b', "'==' before a '|' always has a value"),
        ('toLower(s) == "A"', "this is never true"),
        ('toLower(s) == "é"', "ASCII only"),
        ("m", "a STRING_MAP cannot be written as text"),
    ],
)
def test_bad_expressions(text: str, told: str) -> None:
    """Each is told with what is wrong, and where in the expression."""
    translate = Translator(VOCABULARY).text
    if not told:
        translate(text)
        return
    with pytest.raises(CexlError) as raised:
        translate(text)
    assert told in str(raised.value)


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from((*'()[]|&=!<>+.,"`\\', "s", "m", "ip(", '"a"', "1", "'", "\n", " ", "||")),
        max_size=20,
    ).map("".join)
)
def test_any_text_is_an_expression_or_told(text: str) -> None:
    """Whatever is written, it is translated or refused; never anything else."""
    with suppress(CexlError):
        check(parse(text), VOCABULARY)
        Translator(VOCABULARY).text(text)


def test_a_vocabulary_of_any_names() -> None:
    """Names reach CEL as texts, so that none can change the expression."""
    cel, _ = Translator({'a"]': ValueType.STRING, "ä": ValueType.STRING}).text("ä")
    assert cel == 'mixer.attribute["ä"]'
    assert json.loads(cel.partition("[")[2][:-1]) == "ä"
