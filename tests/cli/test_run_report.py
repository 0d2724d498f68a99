"""The report of ``mixer run`` as text."""

import pytest

from mixer.cli.run_report import render
from mixer.proxywasm import MapType, ReadSet
from mixer.runner import RunReport


def _report(reads: ReadSet) -> str:
    return str(render(RunReport("allow", None, (), None, (), None, {}, (), reads, "", 0.0, 0.0, 0)))


def test_a_header_of_another_map() -> None:
    """What is no header of the request says of which map it is."""
    headers = {
        (MapType.HTTP_REQUEST_HEADERS, b"x-a"): b"1",
        (MapType.HTTP_CALL_RESPONSE_HEADERS, b":status"): None,
    }
    shown = _report(ReadSet(headers=headers))
    assert "  header   x-a = 1\n" in shown
    assert "  header   http_call_response_headers :status = (absent)\n" in shown


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        (b"response\0code", (200).to_bytes(8, "little"), "response.code = 200"),
        (b"request\0time\0", (17 << 56).to_bytes(8, "little"), f"= {17 << 56}"),
        (b"listener_direction", b"\xff" * 8, "listener_direction = -1"),
        (b"connection\0id", b"\xff" * 8, f"connection.id = {2**64 - 1}"),
        (b"connection\0mtls", b"\x01", "connection.mtls = true"),
        (b"connection\0mtls", b"\0", "connection.mtls = false"),
        (b"request\0path", b"/eight/8", "request.path = /eight/8"),
        (b"response\0code", b"\xff", "response.code = base64:/w=="),
    ],
)
def test_a_property(path: bytes, value: bytes, shown: str) -> None:
    """Numbers and flags are shown as such, by the declared kind of the attribute."""
    assert f"{shown}\n" in _report(ReadSet(properties={path: value}))
