"""The request of ``mixer explain``, from what was typed."""

import pytest
from typer.testing import CliRunner

from mixer.api import ext_authz
from mixer.cli import app
from mixer.cli.explain_request import Client, check_request
from mixer.engine import Request

NOBODY = Client("127.0.0.1:0", "", ())
BYTES = "\udcff\udcfe"  # as Python has an argument of the bytes FF FE


def made(target: str, *headers: str, body: str | None = None) -> Request:
    """What the service makes of it."""
    request = ext_authz.decode(check_request(target, "PUT", list(headers), body, NOBODY))
    assert isinstance(request, Request)
    return request


def test_text() -> None:
    """Values of one name are joined, as Envoy does it by default; `Host` is the authority."""
    request = made("/a?b", "X-A: 1", "x-a: 2", "Host: shop.example", body="12345")
    assert dict(request.headers) == {
        ":method": "PUT", ":path": "/a?b", ":scheme": "http", ":authority": "shop.example",
        "x-a": "1,2", "content-length": "5",
    }  # fmt: skip
    assert request.headers.all(b"x-a") == (b"1,2",)
    assert request.body == b"12345"


def test_values_that_are_not_text() -> None:
    """Their bytes arrive, and then values of one name stay apart."""
    request = made("https://shop.example/a", f"x-foo: {BYTES}", "x-a: 1", "x-a: 2")
    assert request.headers.first(b"x-foo") == b"\xff\xfe"
    assert request.headers.all(b"x-a") == (b"1", b"2")
    assert request.headers.first(b":authority") == b"shop.example"
    assert request.attributes.get("request.host") == "shop.example"


@pytest.mark.parametrize("target", ["/é", "http://h/é"])
def test_a_path_that_is_not_text(target: str) -> None:
    """Its bytes arrive as well."""
    request = made(target.replace("é", BYTES))
    assert request.headers.first(b":path") == b"/\xff\xfe"
    assert request.headers.first(b":method") == b"PUT"


def test_a_body_that_is_not_text() -> None:
    """It is bytes anyway."""
    assert made("/", body=BYTES).body == b"\xff\xfe"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("/", "-H", f"{BYTES}: x"), "the name of the header"),
        (("/", "-H", f"host: {BYTES}"), "the host"),
        ((f"http://{BYTES}/",), "the host"),
        (("/", "-X", BYTES), "--method"),
        (("/", "--source", BYTES), "--source"),
        (("/", "--principal", BYTES), "--principal"),
        (("/", "--context-extension", f"a={BYTES}"), "--context-extension"),
        (("--id", BYTES), "the id"),
        (("/", "-a", f"unix:/{BYTES}"), "--admin"),
    ],
)
def test_what_must_be_text(arguments: tuple[str, ...], what: str) -> None:
    """One line says which argument is not, and the command is unusable."""
    given = ["explain", *arguments, *([] if "-a" in arguments else ["-a", "127.0.0.1:1"])]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2
    assert done.output.startswith(f"mixer explain: {what} '")
    assert done.output.endswith("is not UTF-8\n")
    assert done.output.count("\n") == 1
