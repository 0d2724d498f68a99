"""YAML: what is read from it, and what is refused."""

import json
from time import monotonic

import pytest

from mixer.config.document import compose


def data_of(text):
    documents, problems = compose(text, "a.yaml")
    assert problems == []
    return [one.data for one in documents]


def problems_in(text):
    return [str(one) for one in compose(text, "a.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-7", -7),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("Off", False),
        ("~", None),
        ("''", ""),
        ("'12'", "12"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("y", "y"),
        ("_", "_"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("!!int '12'", 12),
        ("!!float 1", 1.0),
        ("127.0.0.1:9000", "127.0.0.1:9000"),
    ],
)
def test_scalars_have_the_value_that_kubernetes_gives_them(text, value):
    """A scalar gets the value and the type that Kubernetes' YAML reader gives it."""
    [[item]] = data_of(f"- {text}\n")
    assert (item, type(item)) == (value, type(value))


def test_empty_documents_are_left_out():
    """Nothing between two separators is no document."""
    assert data_of("---\n---\na: 1\n---\n# only a comment\n") == [{"a": 1}]


def test_an_alias_stands_for_its_anchor():
    """An alias is written out."""
    assert data_of("a: &x [1, {b: 2}]\nc: *x\n") == [{"a": [1, {"b": 2}], "c": [1, {"b": 2}]}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "a.yaml:4: b.c: duplicate key: first at line 3"),
        ("a: !!binary aGk=\n", "a.yaml:1: a: unknown tag"),
        ("a: !thing {b: 1}\n", "a.yaml:1: a: unknown tag"),
        ("a: !!int x\n", "a.yaml:1: a: not a value of the tag !!int"),
        ("a:\n- .nan\n", "a.yaml:2: a[0]: JSON has no NaN"),
        ("a: -.inf\n", "a.yaml:1: a: JSON has no NaN and no infinity"),
        (f"a: {'9' * 5000}\n", "a.yaml:1: a: JSON has no NaN and no infinity"),
        ("a: *b\n", "a.yaml:1: a: alias of nothing"),
        ("a: &b [*b]\n", "a.yaml:1: a[0]: alias of nothing"),
        ("a: &b 1\n---\nc: *b\n", "a.yaml:3: c: alias of nothing"),
        (
            "a:\n  1: x\n",
            "a.yaml:2: a: keys must be strings, and 1 is read as a number: put quotes",
        ),
        ("a: 1\non: x\n", "a.yaml:2: keys must be strings, and on is read as true: put quotes"),
        ("a:\n  No: x\n", "a.yaml:2: a: keys must be strings, and No is read as false: put quotes"),
        (
            "~: x\n",
            'a.yaml:1: keys must be strings, and ~ is read as null: put quotes around it, "~"',
        ),
        ("{? : x}\n", "a.yaml:1: keys must be strings, and before this colon there is none"),
        (
            "a: &b 1\n*b : x\n",
            "a.yaml:2: keys must be strings, and this one is an alias of a number",
        ),
        ("? [a]\n: x\n", "a.yaml:1: keys must be strings, and this one is a list"),
        (
            "pluginConfig: {off: x}\n",
            "a.yaml:1: pluginConfig: keys must be strings, and off is read",
        ),
        (
            "pluginConfig: {404: x}\n",
            "a.yaml:1: pluginConfig: keys must be strings, and 404 is read",
        ),
        (
            "pluginConfig: {4040: x}\n",
            "a.yaml:1: pluginConfig: keys must be strings, and this one is a number: put quotes",
        ),
        ("a: &b {c: 1}\nd:\n  <<: *b\n", "a.yaml:3: d: merge keys (<<) are not supported"),
        ("a: [\n", "a.yaml:2: not YAML: "),
        ("a: 1\n\tb: 2\n", "a.yaml:2: not YAML: "),
        ("a: 1\nb: \x01\n", "a.yaml:2: not YAML: "),
    ],
)
def test_what_is_refused_has_a_line_and_a_field(text, problem):
    """Each mistake is told with its line, its field and what it is."""
    [found] = problems_in(text)
    assert found.startswith(problem)


def test_all_mistakes_of_a_file_are_found_in_one_run():
    """Mistakes before a syntax error are reported with it, and earlier documents are kept."""
    documents, problems = compose("a: 1\na: 2\n---\nb: !x 1\n---\n]\n", "a.yaml")
    assert [one.line for one in problems] == [2, 4, 6]
    assert [one.data for one in documents] == [{"a": 2}, {"b": "1"}]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "{a: " * 200_000,
        "- " * 500_000,
        "[" + "a," * 500_000 + "]",
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)),
        f"a: &a {'x' * 500_000}\nb: [{'*a,' * 50}]\n",
    ],
    ids=["brackets", "braces", "dashes", "many", "aliases", "long alias"],
)
def test_hostile_files_are_refused_soon(text):
    """Nesting, counts and aliases are bounded, written out as well."""
    start = monotonic()
    [problem] = problems_in(text)
    assert "nested more than" in problem or "the file has more than" in problem
    assert monotonic() - start < 10


def test_json_is_yaml():
    """A JSON file is read as what it is."""
    value = {"a": [1, 2.5, None, True, "x\n\u00e9"], "b": {}}
    assert data_of(json.dumps(value, indent=2)) == [value]
