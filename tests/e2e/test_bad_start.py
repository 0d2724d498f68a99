"""A service that cannot start says why and ends with status 1."""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mixer.study.process import ChildProcess
from mixer.study.service import SERVE
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Services, adapter, operation, rule

Make = Callable[[Guests], Sequence[Document]]


async def refusal(config: Path, status: int = 1, command: Sequence[str] = SERVE) -> str:
    """What the service writes before it ends."""
    log = config.with_suffix(".log")
    log.unlink(missing_ok=True)
    process = await ChildProcess.start("mixer serve", [*command, str(config)], log)
    try:
        assert await process.wait(30) == status
    finally:
        await process.stop()
    assert "Traceback" not in process.log_text()
    return process.log_text()


def good(guests: Guests, name: str = "one", **spec: Any) -> Document:
    return adapter(name, guests.adds((b"x-added", b"1")), **spec)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda guests: [good(guests, sha256="0" * 64)],
            "spec.sha256: adapter one: the SHA-256 of ",
            id="wrong digest",
        ),
        pytest.param(
            lambda guests: [adapter("one", Path("/nonexistent/one.wasm"))],
            "/nonexistent/one.wasm",
            id="missing file",
        ),
        pytest.param(
            lambda guests: [good(guests), good(guests)],
            "metadata.name: the name is taken: the first is at {file}:",
            id="duplicate name",
        ),
        pytest.param(
            lambda guests: [good(guests, failStrateggy="FAIL_OPEN")],
            "spec.failStrateggy: unknown field; did you mean 'failStrategy'?",
            id="unknown field",
        ),
        pytest.param(
            lambda guests: [adapter("one", guests.refuses(b"the key is too short"))],
            "the module refused its configuration: the key is too short",
            id="configuration that the module refuses",
        ),
        pytest.param(
            lambda guests: [adapter("one", "builtin://auth", {"surprise": 1})],
            "surprise",
            id="configuration that the auth module refuses",
        ),
        pytest.param(
            lambda guests: [good(guests, annotations={"match": "request.path == 1"})],
            "metadata.annotations[mixer.dev/match]: column 14: found no matching overload",
            id="expression of an adapter",
        ),
        pytest.param(
            lambda guests: [
                rule("r", "nosuch(1)", request=[operation("REPLACE", "x-a", '"1"')]),
                good(guests, failStrategy="FAIL_OPEN"),
            ],
            "spec.match: column 7: undeclared reference to 'nosuch'",
            id="expression of a rule",
        ),
        pytest.param(
            lambda guests: [adapter("one", guests.file("text", b"#!/bin/sh\n"))],
            "not a valid WebAssembly module",
            id="not WebAssembly",
        ),
        pytest.param(
            lambda guests: [adapter("one", guests.file("no-abi", b"\0asm\1\0\0\0"))],
            "proxy_abi_version",
            id="no ABI",
        ),
    ],
)
async def test_bad_configuration(
    services: Services, guests: Guests, make: Make, message: str
) -> None:
    """What is wrong is told with the file and line, or the adapter, that it is about."""
    config = services.configure("bad", make(guests))
    said = await refusal(config)
    assert message.format(file=config) in said
    assert f"{config}:" in said


async def test_no_wrong_expression_is_passed_over(services: Services, guests: Guests) -> None:
    """--continue-on-errors is for modules that do not load."""
    wrong = rule("r", "request.path", request=[operation("REPLACE", "x-a", '"1"')])
    config = services.configure("wrong", [good(guests), wrong])
    said = await refusal(config, command=(*SERVE[:-1], "--continue-on-errors", "-c"))
    assert "spec.match: gives string, and must give a bool" in said


async def test_every_problem_is_told_with_its_line(services: Services, guests: Guests) -> None:
    """One start shows all that is wrong with the files."""
    config = services.configure("bad", [good(guests, phase="AUTHX", priority="high")])
    said = await refusal(config)
    lines = config.read_text().splitlines()
    for field in ("phase", "priority"):
        number = 1 + next(i for i, line in enumerate(lines) if line.strip().startswith(field))
        assert f"{config}:{number}: spec.{field}: " in said
    assert "2 problems: nothing was loaded" in said


async def test_port_in_use(services: Services, guests: Guests) -> None:
    """A port that another process listens on is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listeners = [{"name": "grpc", "address": address}]
        config = services.configure("bad", [good(guests)], listeners=listeners)
        said = await refusal(config)
    assert f"listener grpc: {address}: Address already in use" in said


async def test_tls_files_that_cannot_be_used(services: Services, guests: Guests) -> None:
    """A file of a listener is named, with the reason, before anything is loaded."""
    address = services.address("tls")
    listeners = [{"name": "grpc", "address": address, "tls": {"certFile": "absent.pem"}}]
    config = services.configure("bad", [good(guests)], listeners=listeners)
    said = await refusal(config)
    file = services.folder / "absent.pem"
    assert f"listener grpc: tls: {file}: cannot be read: No such file or directory" in said


async def test_no_such_configuration(services: Services) -> None:
    """A configuration that is not there is named."""
    config = services.folder / "absent.yaml"
    assert f"{config}" in await refusal(config)
