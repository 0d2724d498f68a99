"""``mixer validate``, and the options that every command shares."""

import hashlib
from pathlib import Path

import pytest
import wasmtime
from typer.testing import CliRunner, Result

from mixer.cli import app

_PLUGIN = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{name: {name}}}
spec: {{url: {url}, pluginConfig: {config}}}
---
"""


def _mixer(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mixer.yaml"
    path.write_text(_PLUGIN.format(name="a", url="builtin://auth", config="{api_keys: {}}"))
    return path


def test_an_adapter_that_refuses_its_configuration_is_a_problem(config: Path) -> None:
    """The module's own reason is printed with the place in the file."""
    result = _mixer("validate", str(config))
    assert result.exit_code == 1
    assert (
        f"{config}:5: spec.pluginConfig: adapter a: the module refused its configuration: "
        in result.stderr
    )


def test_modules_can_be_left_out(config: Path) -> None:
    """--no-modules checks the documents alone."""
    result = _mixer("validate", "--no-modules", str(config))
    assert result.exit_code == 0
    assert result.stdout == "ok: 1 file, 1 adapter, modules not loaded\n"


def test_every_problem_is_listed(tmp_path: Path) -> None:
    """A configuration is refused whole, with file, line and field of each problem."""
    path = tmp_path / "mixer.yaml"
    path.write_text(
        _PLUGIN.format(name="a", url="x://y", config="{}")
        + _PLUGIN.format(name="b", url="builtin://nope", config="[1]")
    )
    result = _mixer("validate", str(path))
    assert result.exit_code == 1
    assert f"{path}:5: spec.url" in result.stderr
    assert f"{path}:11: spec.url" in result.stderr
    assert result.stderr.rstrip().endswith("problems: nothing was loaded")


def test_a_wrong_digest_is_a_problem(tmp_path: Path) -> None:
    """The digest that the module has is named, with the field."""
    (tmp_path / "m.wasm").write_bytes(wasmtime.wat2wasm("(module)"))
    path = tmp_path / "mixer.yaml"
    text = _PLUGIN.format(name="a", url="file://m.wasm", config="{}")
    path.write_text(text.replace("spec: {", f"spec: {{sha256: {'a' * 64}, "))
    result = _mixer("validate", str(path))
    assert result.exit_code == 1
    digest = hashlib.sha256(wasmtime.wat2wasm("(module)")).hexdigest()
    assert f"{path}:5: spec.sha256: adapter a: the SHA-256 of " in result.stderr
    assert digest in result.stderr


@pytest.mark.parametrize("command", ["serve", "validate", "run", "inspect", "demo"])
def test_every_command_has_help_with_examples(command: str) -> None:
    """--help shows how to call it."""
    result = _mixer(command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"mixer {command}" in result.output
    assert "Exit status:" in result.output


def test_the_version_names_wasmtime_too() -> None:
    """A bug report needs both."""
    result = _mixer("--version")
    assert result.exit_code == 0
    assert "(wasmtime " in result.output


_RULE = """
apiVersion: mixer.dev/v1alpha1
kind: MixerRule
metadata: {{name: r}}
spec:
  match: {match}
  requestHeaderOperations: [{{name: x-a, values: [request.path]}}]
"""


@pytest.mark.parametrize("options", [[], ["--no-modules"]])
def test_an_expression_that_is_wrong_is_a_problem(tmp_path: Path, options: list[str]) -> None:
    """With file, line and field, whether modules are loaded or not; nothing is loaded."""
    path = tmp_path / "mixer.yaml"
    path.write_text(_RULE.format(match="request.pth == '/'"))
    result = _mixer("validate", *options, str(path))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{path}:6: spec.match: column 8: undefined field 'pth' not found in 'request'",
        "1 problem: nothing was loaded",
    ]


def test_rules_are_counted(tmp_path: Path) -> None:
    """So that one in a file that is not read is missed."""
    path = tmp_path / "mixer.yaml"
    path.write_text(_RULE.format(match="request.path == '/'"))
    result = _mixer("validate", str(path))
    assert result.exit_code == 0
    assert result.stdout == "ok: 1 file, 1 rule, 0 adapters, each starts\n"


def test_a_configuration_that_is_refused_is_told_by_its_rule(tmp_path: Path) -> None:
    """With the line of the rule, before anything is served with it."""
    path = tmp_path / "mixer.yaml"
    path.write_text("""\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: policy}
spec:
  url: builtin://policy
  pluginConfig: {rules: [{deny: {}}]}
---
apiVersion: mixer.dev/v1alpha1
kind: MixerRule
metadata: {name: r}
spec:
  adapters:
  - name: policy
    pluginConfig: {rules: []}
""")
    result = _mixer("validate", str(path))
    assert result.exit_code == 1
    first, *_ = result.stderr.splitlines()
    assert first.startswith(f"{path}:14: spec.adapters[0].pluginConfig: adapter policy: ")


def test_the_tls_files_of_listeners_are_read(tmp_path: Path) -> None:
    """A certificate that cannot be read is a problem before the service starts."""
    path = tmp_path / "mixer.yaml"
    path.write_text(
        "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\n"
        'spec: {listeners: [{name: a, address: "localhost:0", tls: {certFile: nope.pem}}]}\n'
    )
    result = _mixer("validate", str(path))
    assert result.exit_code == 1
    assert f"listener a: tls: {tmp_path}/nope.pem: cannot be read" in result.stderr


def test_tls_files_are_read(tmp_path: Path) -> None:
    """What would keep `mixer serve` from starting is a problem here too."""
    path = tmp_path / "mixer.yaml"
    path.write_text(
        "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\n"
        'spec: {clusters: [{name: b, endpoints: ["a:1"], tls: {caFile: nope.pem}}]}\n'
    )
    result = _mixer("validate", str(path))
    assert result.exit_code == 1
    assert f"cluster b: tls: {tmp_path}/nope.pem: " in result.stderr


def test_no_adapters(tmp_path: Path) -> None:
    """A configuration that allows everything says so."""
    path = tmp_path / "mixer.yaml"
    path.write_text("apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\n")
    result = _mixer("validate", str(path))
    assert result.exit_code == 0
    assert "note: no adapters: every request would be allowed" in result.stderr


@pytest.mark.parametrize("option", ["--modules", "--no-modules"])
def test_a_cluster_that_there_is_not(option: str, tmp_path: Path) -> None:
    """It is noted, with its place and what becomes of requests; the configuration is sound."""
    path = tmp_path / "mixer.yaml"
    path.write_text(
        _PLUGIN.format(name="a", url="builtin://telemetry", config="{otlp: {cluster: away}}")
    )
    result = _mixer("validate", option, str(path))
    assert result.exit_code == 0
    assert f"note: {path}:5: spec.pluginConfig.otlp.cluster: no cluster 'away'" in result.stderr
    assert "requests go on" in result.stderr


@pytest.mark.parametrize("option", ["--modules", "--no-modules"])
def test_a_ledger_that_cannot_be_opened_here(option: str, tmp_path: Path) -> None:
    """It is noted, since the service may run on another machine; nothing is made."""
    path = tmp_path / "mixer.yaml"
    head = "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\n"
    path.write_text(f"{head}spec: {{ledger: {{sqlite: {{path: none/usage.db}}}}}}\n")
    result = _mixer("validate", option, str(path))
    assert result.exit_code == 0
    assert (
        f"note: spec.ledger.sqlite.path: on this machine {tmp_path}/none/usage.db cannot be opened:"
        f" its folder {tmp_path}/none does not exist: make it"
    ) in result.stderr
    (tmp_path / "none").mkdir()
    assert "on this machine" not in _mixer("validate", option, str(path)).stderr
    assert [*(tmp_path / "none").iterdir()] == []
