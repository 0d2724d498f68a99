"""The attribute bag, and the attributes that follow from a request's headers."""

from typing import Any

import pytest

from mixer.attributes import (
    HTTP_RESOLVERS,
    LEGACY_NAMES,
    VOCABULARY,
    AttributeBag,
    HeaderMap,
    Kind,
)
from tests.support.guest import bag


def test_attribute_is_computed_when_it_is_read() -> None:
    """A resolver runs for each read of its own attribute, and for nothing else."""
    calls: list[str] = []

    def resolver(name: str) -> Any:
        return lambda source: calls.append(name) or source[name]

    resolvers = {name: resolver(name) for name in ("source.address", "source.port")}
    attributes = AttributeBag(resolvers, {"source.address": "10.0.0.1:5", "source.port": 5})
    assert calls == []
    assert [attributes.get("source.port"), attributes.get("source.port")] == [5, 5]
    assert calls == ["source.port", "source.port"]


def test_absent_and_unknown_attributes() -> None:
    """An attribute that a front end can know may be absent; others are not known at all."""
    attributes = AttributeBag({"source.port": lambda _: None}, None)
    assert (attributes.get("source.port"), attributes.knows("source.port")) == (None, True)
    assert (attributes.get("none"), attributes.knows("none")) == (None, False)
    assert attributes.names() == {"source.port"}


@pytest.mark.parametrize(
    ("path", "url_path", "query"),
    [
        ("/a/b?c=d&e", "/a/b", "c=d&e"),
        ("/a?b?c", "/a", "b?c"),
        ("/a#f?q", "/a", ""),
        ("/a?q#f", "/a", "q"),
        ("/", "/", ""),
        ("", "", ""),
    ],
)
def test_path_and_its_parts(path: str, url_path: str, query: str) -> None:
    """The path is as sent; its parts leave the fragment out."""
    attributes = bag(HeaderMap.of((":path", path)))
    assert attributes.get("request.path") == path
    assert attributes.get("request.url_path") == url_path
    assert attributes.get("request.query") == query


def test_attributes_of_headers() -> None:
    """Each attribute that is a header has its value."""
    headers = HeaderMap.of(
        (":authority", "h"), (":scheme", "https"), (":method", "GET"), ("referer", "r"),
        ("user-agent", "u"), ("x-request-id", "i"),
    )  # fmt: skip
    attributes = bag(headers)
    names = ("host", "scheme", "method", "referer", "useragent", "id")
    values = [attributes.get(f"request.{name}") for name in names]
    assert values == ["h", "https", "GET", "r", "u", "i"]
    assert attributes.get("request.headers") is headers
    assert attributes.get("request.headers_bytes") == headers.byte_size()


def test_absent_headers_are_absent_attributes() -> None:
    """Without a header its attribute is absent, and the path is empty."""
    attributes = bag(HeaderMap.of())
    absent = {name for name in HTTP_RESOLVERS if attributes.get(name) is None}
    named = ("host", "scheme", "method", "referer", "useragent", "id")
    assert absent == {"mixer.host", *(f"request.{name}" for name in named)}


def test_attributes_follow_the_changes_of_headers() -> None:
    """An attribute of a header is what the header is now."""
    headers = HeaderMap.of((":path", "/old"))
    attributes = bag(headers)
    assert attributes.get("request.path") == "/old"
    headers.replace(b":path", b"/new")
    assert attributes.get("request.path") == "/new"


def test_vocabulary_names_the_types() -> None:
    """Every attribute that follows from the headers is declared, and so is what was renamed."""
    assert set(HTTP_RESOLVERS) <= set(VOCABULARY)
    assert set(LEGACY_NAMES.values()) <= set(VOCABULARY)
    assert VOCABULARY["source.port"] is Kind.INT
    assert VOCABULARY["request.time"] is Kind.TIMESTAMP
