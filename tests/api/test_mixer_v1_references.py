"""What callers keep answers by: whoever agrees in all references would read the same."""

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mixer.api.mixer_v1 import decode_check
from mixer.attributes import Value
from mixer.cel import AttributeActivation, EvaluationError, Result, checked_program
from mixer.engine import Request
from mixer.proxywasm.property_codec import NotALeaf, encode_known, look_up
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import Reference, admission, asked_by, check_bytes, references

_text = st.sampled_from(["", "a", "b"])
_map = st.dictionaries(st.sampled_from([":path", "host", "x-a", "x-b", "referer"]), _text)
_attributes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "request.headers": _map,
        "source.labels": _map,
        "response.headers": _map,
        "request.path": _text,
        "request.host": _text,
        "request.referer": _text,
        "source.principal": _text,
        "source.user": _text,
        "source.ip": st.sampled_from([b"\0" * 4, b"\1" * 4]),
        "origin.ip": st.sampled_from([b"\0" * 4, b"\1" * 4]),
        "destination.ip": st.sampled_from([b"\0" * 4, b"\1" * 4]),
        "destination.port": st.integers(0, 2),
        "connection.id": _text,
        "context.reporter.kind": st.sampled_from(["inbound", "outbound", "a"]),
    },
)
_HEADERS = (b":path", b"host", b":authority", b"x-a", b"x-b", b"content-length")
_PATHS = (
    ("request", "path"), ("request", "url_path"), ("request", "host"), ("request", "referer"),
    ("request", "size"), ("request", "headers", "x-a"), ("source", "labels", "x-a"),
    ("source", "address"), ("destination", "address"), ("source", "principal"),
    ("connection", "uri_san_peer_certificate"), ("connection", "id"),
    ("xds", "listener_direction"), ("mixer", "attribute", "request.path"),
    ("mixer", "attribute", "request.headers", "x-b"), ("mixer", "attribute", "source.labels"),
)  # fmt: skip
_EXPRESSIONS = tuple(
    checked_program(text, Result.BOOL)
    for text in (
        '"source.labels" in mixer.attribute', 'has(response.headers)', '"x-a" in source.labels',
        '"request.headers" in mixer.attribute', '"source.principal" in mixer.attribute',
        'mixer.attribute["source.labels"]["x-a"] == "a"', 'request.headers["x-a"] == "a"',
        'has(source.labels.host)', 'size(source.labels) > 1', 'source.labels == {"x-a": "a"}',
        'source.labels.exists(name, name == "x-b")', 'mixer.attribute["source.labels"] != {}',
    )
)  # fmt: skip
_read = (
    st.tuples(st.just("header"), st.sampled_from(_HEADERS))
    | st.tuples(st.just("property"), st.sampled_from(_PATHS))
    | st.tuples(st.sampled_from(["replace", "remove", "add"]), st.sampled_from(_HEADERS))
    | st.tuples(st.just("expression"), st.sampled_from(_EXPRESSIONS))
    | st.just(("pairs", None))
)


def act(request: Request, reads: list[tuple[str, Any]]) -> list[Any]:
    """All that a module or an expression gets to see, and what becomes of the headers."""
    headers, seen = request.headers, list[Any]()
    for kind, what in reads:
        if kind == "header":
            seen.append(headers.all(what))
        elif kind == "pairs":
            seen.append(headers.pairs())
        elif kind == "property":
            try:
                seen.append(encode_known(look_up(request.attributes.get, what)))
            except NotALeaf:
                seen.append(NotALeaf)
        elif kind == "expression":
            try:
                seen.append(what.evaluate(AttributeActivation(request.attributes.get)))
            except EvaluationError:
                seen.append(EvaluationError)
        else:
            arguments = (what,) if kind == "remove" else (what, b"a")
            getattr(headers, kind)(*arguments)
    return [*seen, headers.changes(source_is_complete=False)]


def agrees(told: Mapping[str, Value], other: Mapping[str, Value], found: set[Reference]) -> bool:
    """As a caller that keeps answers compares a request with one before."""
    for name, key, condition in found:
        assert condition != "REGEX"
        values = [_value(attributes, name, key) for attributes in (told, other)]
        if values[0] != values[1] or (values[0] is None) != (condition == "ABSENCE"):
            return False
    return True


def _value(attributes: Mapping[str, Value], name: str, key: str | None) -> Any:
    value = attributes.get(name)
    return value.get(key) if key is not None and isinstance(value, Mapping) else value


@settings(deadline=None)
@given(_attributes, st.data(), st.lists(_read, min_size=1, max_size=6))
def test_references_are_all_that_an_answer_follows_from(
    told: dict[str, Value], data: st.DataObject, reads: list[tuple[str, Any]]
) -> None:
    """Requests that agree in the references of one are the same to whoever made the look-ups."""
    question = decode_check(check_bytes(told), admission(), asked_by).question()
    seen = act(question.request, reads)
    message = pb.ReferencedAttributes()
    question.references.write(message, 222)
    found = references(message)
    assume(not question.references.volatile)
    assume(all(condition != "REGEX" for _, _, condition in found))
    other = dict(told)
    for name, value in data.draw(_attributes).items():  # alike, but for some of it
        if data.draw(st.booleans()):
            other[name] = value
        else:
            other.pop(name, None)
    if agrees(told, other, found):
        again = decode_check(check_bytes(other), admission(), asked_by).question()
        assert act(again.request, reads) == seen
