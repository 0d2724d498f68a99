"""``mixer run`` with callouts to real services."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from mixer.cli import app
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

ASKING = adapter(
    do.callout("auth", "/check"),
    do.answer(3),
    http_call_response=[do.in_stream(do.if_called("4", do.deny(403, "no")), do.resume)],
)


def _mixer(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *arguments])


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(401 if self.headers.get("x-deny") else self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def auth() -> Iterator[ThreadingHTTPServer]:
    """A service whose answer the test sets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.status = 200  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def module(tmp_path: Path) -> str:
    """A module that asks the cluster ``auth``."""
    file = tmp_path / "asking.wasm"
    file.write_bytes(wasm(ASKING))
    return str(file)


@pytest.mark.parametrize(("status", "verdict"), [(200, "allow"), (401, "deny")])
def test_a_cluster_that_is_named(
    auth: ThreadingHTTPServer, module: str, status: int, verdict: str
) -> None:
    """The module's callout is made, and the request goes on with its answer."""
    auth.status = status  # type: ignore[attr-defined]
    result = _mixer(module, "--cluster", f"auth=127.0.0.1:{auth.server_port}", "--trace")
    assert result.output.splitlines().count(verdict) == 1, result.output
    assert "proxy_on_http_call_response(1, 4, " in result.output
    assert f"callouts\n  http auth: POST /check = {status}, 0 bytes  [" in result.output
    assert result.exit_code == (0 if verdict == "allow" else 1)


def test_a_cluster_that_does_not_answer(module: str) -> None:
    """The request waits as long as --wait says, and the report tells for what."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = f"auth=127.0.0.1:{silent.getsockname()[1]}"
        result = _mixer(module, "--cluster", cluster, "--wait", "0.05")
    assert result.output.startswith("pause\nwaits\n  1 callout is under way: not answered within")
    assert "callouts\n  http auth: POST /check = not answered\n" in result.output
    assert result.exit_code == 1


def test_the_clusters_of_the_configuration(
    auth: ThreadingHTTPServer, module: str, tmp_path: Path
) -> None:
    """With --callouts those of the file are called."""
    mixer = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "mixer"},
        "spec": {
            "clusters": [{"name": "auth", "endpoints": [f"127.0.0.1:{auth.server_port}"]}],
            "compileCache": {"directory": str(tmp_path / "cache")},
        },
    }
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "asking"},
        "spec": {"url": module},
    }
    file = tmp_path / "mixer.yaml"
    file.write_text(yaml.safe_dump_all([mixer, plugin]))
    assert _mixer(module, "--config", f"@{file}", "--callouts").output.startswith("allow")
    without = _mixer(module, "--config", f"@{file}")
    assert without.output.startswith("pause")
    assert "no cluster 'auth': this run names none (--cluster)" in without.output


def test_a_service_that_is_down(module: str) -> None:
    """What the module sees is Envoy's 503."""
    result = _mixer(module, "--cluster", "auth=127.0.0.1:1", "--trace")
    assert "upstream connect error" in result.output or "proxy_on_http_call_response" in (
        result.output
    )
    assert result.output.splitlines().count("allow") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--cluster", "auth"), "write NAME=HOST:PORT, such as auth=127.0.0.1:8000"),
        (("--cluster", "auth=somewhere"), "--cluster 'auth=somewhere': "),
        (("--cluster", "auth=127.0.0.1:0"), "the port must be from 1 to 65535"),
        (("--callouts",), "give one with --config"),
    ],
)
def test_bad_clusters(module: str, arguments: tuple[str, ...], says: str) -> None:
    """A cluster that cannot be used is an error that says what to write."""
    result = _mixer(module, *arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_a_file_without_clusters(module: str, tmp_path: Path) -> None:
    """--callouts without any cluster is an error."""
    file = tmp_path / "mixer.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "extensions.istio.io/v1alpha1",
                "kind": "WasmPlugin",
                "metadata": {"name": "asking"},
                "spec": {"url": module},
            }
        )
    )
    result = _mixer(module, "--config", f"@{file}", "--callouts")
    assert result.exit_code == 2
    assert "has no spec.clusters: --cluster NAME=HOST:PORT names one" in result.output
