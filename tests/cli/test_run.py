"""``mixer run`` and ``mixer inspect``, as an author of modules uses them."""

import hashlib
import json
from pathlib import Path

import pytest
import wasmtime
from typer.testing import CliRunner, Result

from mixer.cli import app
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

_MIXER_YAML = Path(__file__).parents[2] / "deploy" / "mixer" / "mixer.yaml"

_MODULE = """
(module
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_upstream_override_host" (func (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "source\\00port")
  (data (i32.const 32) "hello [red]")
  (func (export "proxy_abi_version_0_2_100"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $property (i32.const 16) (i32.const 11) (i32.const 0) (i32.const 4)))
    (drop (call $log (i32.const 3) (i32.const 32) (i32.const 11)))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (drop (call $set (i32.const 0) (i32.const 0) (i32.const 1)
      (i32.const 32) (i32.const 5)))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_foreign_function") (param i32 i32 i32))
  (func (export "envoy_on_resolve_dns") (param i32 i32 i32))
  (func (export "envoy_on_stats_update") (param i32 i32))
  %s)
"""


def _mixer(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def module(tmp_path: Path) -> str:
    return _written(tmp_path, "")


def _written(folder: Path, more: str) -> str:
    path = folder / "module.wasm"
    path.write_bytes(wasmtime.wat2wasm(_MODULE % more))
    return str(path)


def test_an_allowed_request_ends_with_0_and_shows_what_happened(module: str) -> None:
    """Verdict, log, reads and costs are printed; a module's text is no markup."""
    result = _mixer("run", module, "--property", "source.port=80")
    assert result.exit_code == 0
    assert result.output.startswith("allow\n")
    assert "warn     hello [red]" in result.output
    assert "property source.port = 80" in result.output
    assert "MiB" in result.output


def test_json_has_the_same_facts(module: str) -> None:
    """--json prints one document, with the changed body."""
    result = _mixer("run", module, "--json", "--body", "Jello", "--method", "POST")
    report = json.loads(result.stdout)
    assert report["verdict"] == "allow"
    assert report["body"] == "helloello"
    assert report["reads"]["properties"] == {"source.port": None}
    assert report["logs"] == [{"level": "warn", "message": "hello [red]"}]
    assert report["memory_bytes"] == 65536
    assert report["request_us"] > 0


def test_a_denied_request_ends_with_1() -> None:
    """A script can tell allow from deny by the exit status."""
    arguments = ("run", "builtin://auth", "--config", f"@{_MIXER_YAML}", "--json")
    denied = _mixer(*arguments)
    assert denied.exit_code == 1
    assert json.loads(denied.stdout)["response"]["status"] == 401
    assert _mixer(*arguments, "-H", "x-api-key: demo-key").exit_code == 0


def test_a_trap_is_told_with_its_backtrace(tmp_path: Path) -> None:
    """A module that traps on the request is no failure of the command's."""
    module = _written(tmp_path, '(func (export "proxy_on_log") (param i32) unreachable)')
    result = _mixer("run", module)
    assert result.exit_code == 1
    assert result.output.startswith("trap\n")
    assert "unreachable" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.wasm"], "absent.wasm: no such file"),
        (["builtin://absent"], "there are: auth"),
        (
            ["builtin://auth", "--config", '{"a": 1}'],
            "the module refused its configuration: auth: a",
        ),
        (["builtin://auth", "--config", "@absent.json"], "absent.json: No such file"),
        (["builtin://auth", "--config", "@absent.yaml"], "absent.yaml"),
        (["builtin://auth", "-H", "nocolon"], "write NAME: VALUE"),
        (["builtin://auth", "-H", ":path: /x"], "use --method, --path"),
        (["builtin://auth", "--property", "x"], "--property 'x': write NAME=VALUE"),
        (["builtin://auth", "--property", "source.port=many"], "must be of type int, not 'many'"),
        (["builtin://auth", "--property", "request.headers=a"], "cannot be given"),
    ],
)
def test_a_call_that_cannot_be_made_ends_with_2_and_says_why(
    arguments: list[str], message: str
) -> None:
    """Bad arguments name what is wrong."""
    result = _mixer("run", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_allow_list(module: str) -> None:
    """What is not on the list is refused; a name that cannot be meant is told."""
    result = _mixer("run", module, "--allow", "proxy_on_request_headers, proxy_log")
    assert result.exit_code == 0
    assert "proxy_get_property is not among the adapter's allowed capabilities" in result.output
    assert "hello [red]" in result.output
    needs = json.loads(_mixer("inspect", "--json", module).stdout)["needs"]
    result = _mixer("run", module, "--allow", ",".join(needs))
    assert "allowed capabilities" not in result.output
    result = _mixer("run", module, "--allow", "proxy_lgo")
    assert result.exit_code == 2
    assert "--allow proxy_lgo: neither a host call nor a callback" in result.stderr


def test_lenient_answers(tmp_path: Path) -> None:
    """A module that ends itself on Envoy's status lives with the lenient one."""
    module = _written(
        tmp_path,
        """(func (export "proxy_on_log") (param i32)
          (if (call $set (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (then unreachable)))""",
    )
    assert _mixer("run", module).exit_code == 1
    assert _mixer("run", module, "--compat", "lenient").exit_code == 0


def test_inspect_tells_what_is_supported(module: str) -> None:
    """Each import and callback has a word for how well it is supported."""
    result = _mixer("inspect", module)
    assert result.exit_code == 0
    assert "ABI        0.2.100" in result.output
    assert "supported      env.proxy_get_property(i32, i32, i32, i32) -> (i32)" in result.output
    assert "not yet        env.proxy_set_upstream_override_host" in result.output
    assert "called         proxy_on_request_body" in result.output
    assert "called         proxy_on_response_headers" in result.output
    assert "called         proxy_on_foreign_function" in result.output
    assert "called         envoy_on_resolve_dns" in result.output
    assert "not called     envoy_on_stats_update" in result.output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(module)", "exports no proxy_abi_version_*"),
        (_MODULE % '(import "env" "f" (func))', "imports env.f, which this host does not have"),
    ],
)
def test_inspect_names_every_reason_why_a_module_cannot_run(
    tmp_path: Path, text: str, problem: str
) -> None:
    """The exit status is 1, and the problem is printed."""
    path = tmp_path / "module.wasm"
    functions = text.replace("%s", "")
    if '(import "env" "f"' in functions:  # imports come first in a module
        functions = functions.replace('(import "env" "f" (func))', "").replace(
            "(module", '(module (import "env" "f" (func))', 1
        )
    path.write_bytes(wasmtime.wat2wasm(functions))
    result = _mixer("inspect", str(path))
    assert result.exit_code == 1
    assert problem in result.output
    found = _mixer("inspect", "--json", str(path))
    assert any(problem in p for p in json.loads(found.stdout)["problems"])


def test_inspect_refuses_what_is_no_wasm(tmp_path: Path) -> None:
    """A file of another kind is named as such."""
    path = tmp_path / "text.wasm"
    path.write_text("hello")
    result = _mixer("inspect", str(path))
    assert result.exit_code == 2
    assert "not a valid WebAssembly module" in result.stderr


_TWO = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: one, annotations: {"mixer.dev/memory-limit": 1Mi}}
spec: {url: builtin://auth, pluginConfig: {a: 1}}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: two}
spec: {url: ./module.wasm, pluginName: named, sha256: "%s"}
"""


def test_the_document_of_the_module_is_picked(tmp_path: Path, module: str) -> None:
    """Of several WasmPlugins, the one with this module is used, or the one that is named."""
    file = tmp_path / "two.yaml"
    digest = hashlib.sha256(Path(module).read_bytes()).hexdigest()
    file.write_text(_TWO % digest)
    assert _mixer("run", module, "--config", f"@{file}").exit_code == 0
    other = _mixer("run", "builtin://auth", "--config", f"@{file}")
    assert "needs 1.06 MiB of memory at its start; its limit is 1 MiB" in other.stderr
    wrong = _mixer("run", module, "--config", f"@{file}", "--adapter", "three")
    assert "mixer run: no WasmPlugin 'three'; there are: one, two" in wrong.stderr


def test_a_document_of_another_module_is_named(tmp_path: Path, module: str) -> None:
    """Its configuration is not taken for that of this module, even if it is the only one."""
    config = f"@{_MIXER_YAML}"
    result = _mixer("run", module, "--config", config)
    assert result.exit_code == 2
    assert f"has the module {module}: name one with --adapter; there are: auth" in result.stderr
    assert _mixer("run", module, "--config", config, "--adapter", "auth").exit_code == 0


def test_a_folder_of_documents(tmp_path: Path, module: str) -> None:
    """It is read as by ``mixer serve -c``."""
    (tmp_path / "two.yaml").write_text(_TWO % hashlib.sha256(Path(module).read_bytes()).hexdigest())
    (tmp_path / "mixer.yaml").write_text(_MIXER_YAML.read_text())
    config = f"@{tmp_path}"
    assert _mixer("run", module, "--config", config).exit_code == 0
    several = _mixer("run", "builtin://auth", "--config", config)
    assert "several WasmPlugins have the module" in several.stderr
    denied = _mixer("run", "builtin://auth", "--config", config, "--adapter", "auth")
    assert denied.output.startswith("deny\n")
    assert "has no spec.clusters" in _mixer("run", module, "--config", config, "--callouts").stderr


def test_the_digest_of_the_document_counts(tmp_path: Path, module: str) -> None:
    """A run refuses what the service would refuse."""
    file = tmp_path / "two.yaml"
    file.write_text(_TWO % ("a" * 64))
    result = _mixer("run", module, "--config", f"@{file}")
    assert result.exit_code == 2
    assert "spec.sha256" in result.stderr


def test_a_forgotten_at_sign_is_noticed() -> None:
    """A file name in place of content is not handed to the module."""
    result = _mixer("run", "builtin://auth", "--config", str(_MIXER_YAML))
    assert result.exit_code == 2
    assert f"did you mean @{_MIXER_YAML}" in result.stderr


def test_inspect_says_that_a_module_can_run(module: str) -> None:
    """The verdict is the last line."""
    last = _mixer("inspect", module).output.strip().splitlines()[-1]
    assert last == "ok: this host can run it; 1 of its imports answer UNIMPLEMENTED if called"


def test_a_module_is_named_as_in_the_configuration(module: str) -> None:
    """File URLs work, and the name of a built-in module alone is understood."""
    assert _mixer("inspect", f"file://{module}").exit_code == 0
    assert "did you mean builtin://auth" in _mixer("inspect", "auth").stderr
    assert "not supported yet" in _mixer("inspect", "oci://a/b").stderr


_RESPONSES = """
(module
  (import "env" "proxy_add_header_map_value"
    (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "x-new")
  (data (i32.const 32) "response\\00code")
  (func (export "proxy_abi_version_0_2_100"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
    (call $add (i32.const 1) (i32.const 16) (i32.const 5) (i32.const 16) (i32.const 1)))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $property (i32.const 32) (i32.const 13) (i32.const 0) (i32.const 4)))
    (call $add (i32.const 2) (i32.const 16) (i32.const 5) (i32.const 16) (i32.const 2)))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (drop (call $set (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 1)))
    (i32.const 0))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
    (call $add (i32.const 3) (i32.const 16) (i32.const 5) (i32.const 16) (i32.const 3))))
"""


@pytest.fixture
def responses(tmp_path: Path) -> str:
    path = tmp_path / "responses.wasm"
    path.write_bytes(wasmtime.wat2wasm(_RESPONSES))
    return str(path)


_ANSWER = (
    "--response-header", "content-length: 4", "--response-body", "ab", "--response-body", "cd",
    "--response-trailer", "x-sum: 1", "--trailer", "x-sum: 2", "--body", "b",
)  # fmt: skip


def test_a_response_runs_the_response_callbacks(responses: str) -> None:
    """What the module made of the response is printed, its content-length right."""
    result = _mixer("run", responses, *_ANSWER, "--response-status", "201")
    assert result.exit_code == 0
    for section in (
        "request trailers changed\n  + x-new: x\n",
        "response headers changed\n  + x-new: x-\n  + content-length: 6\n",
        "response body changed\n  xabxcd\n",
        "response trailers changed\n  + x-new: x-n\n",
    ):
        assert section in result.output, section


def test_json_of_a_response(responses: str) -> None:
    """--json has the whole response; the status is 200 unless it is given."""
    sent = json.loads(_mixer("run", responses, "--json", *_ANSWER).stdout)["sent"]
    assert [":status", "200"] in sent["headers"]
    assert (sent["body"], sent["body_changed"]) == ("xabxcd", True)
    assert sent["trailers"] == [["x-sum", "1"], ["x-new", "x-n"]]
    without = json.loads(_mixer("run", responses, "--json").stdout)
    assert (without["sent"], without["reads"]["properties"]) == (None, {})


def test_a_bad_response_header_ends_with_2(responses: str) -> None:
    """A response header is checked as a request header is."""
    result = _mixer("run", responses, "--response-header", "nocolon")
    assert result.exit_code == 2
    assert "write NAME: VALUE" in result.stderr


def test_trace_prints_each_call(module: str) -> None:
    """With --trace the calls come first, then the report; in JSON they are part of it."""
    result = _mixer("run", module, "--trace")
    lines = result.output.splitlines()
    assert lines[0].startswith("proxy_on_request_headers(2, 4, 1) = ")
    document = json.loads(_mixer("run", module, "--trace", "--json").output)
    assert document["trace"][0]["name"] == "proxy_on_request_headers"
    assert "trace" not in json.loads(_mixer("run", module, "--json").output)


_WRITING = adapter(
    request_body=[do.set_body("one\ntwo")],
    response_body=[do.set_body("three\nfour", kind=1)],
)


def test_bodies_of_several_lines(tmp_path: Path) -> None:
    """Each of their lines is indented, in requests as in responses."""
    path = tmp_path / "reading.wasm"
    path.write_bytes(wasm(_WRITING))
    result = _mixer("run", str(path), "--body", "", "--response-body", "")
    assert "request body changed\n  one\n  two\n" in result.output
    assert "response body changed\n  three\n  four\n" in result.output


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        (adapter(do.answer(1)), "nothing can resume it: no callout is under way, and no tick"),
        (
            adapter(do.answer(1), configure=[do.tick(60_000)]),
            "no tick and no message of a queue resumed it within 2 s (--wait)",
        ),
    ],
)
def test_a_pause_says_what_is_open(tmp_path: Path, text: str, waits: str) -> None:
    """A request that waits in vain does not end without a word."""
    path = tmp_path / "waiting.wasm"
    path.write_bytes(wasm(text))
    result = _mixer("run", str(path), "--wait", "2")
    assert result.exit_code == 1
    assert result.output.startswith("pause\nwaits\n")
    assert waits in result.output
    assert (
        waits in json.loads(_mixer("run", str(path), "--wait", "2", "--json").stdout)["waits_for"]
    )


def test_a_connection_of_a_module_for_http(tmp_path: Path) -> None:
    """A trap where the connection begins has a hint; a refused start names the module."""
    trap = '(func (export "proxy_on_new_connection") (param i32) (result i32) unreachable)'
    result = _mixer("run-tcp", _written(tmp_path, trap))
    assert "is it a module for HTTP? `mixer run` runs those" in result.output
    trap = '(func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) unreachable)'
    result = _mixer("run-tcp", _written(tmp_path, trap), "--downstream", "a")
    assert "unreachable" in result.output
    assert "is it a module for HTTP" not in result.output
    refused = '(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))'
    module = _written(tmp_path, refused)
    assert f"mixer run-tcp: {module}: the module refused" in _mixer("run-tcp", module).stderr


def test_a_tcp_connection(tmp_path: Path) -> None:
    """`run-tcp` prints what was carried; bad arguments name what is wrong."""
    module = _written(tmp_path, "")
    result = _mixer("run-tcp", module, "--downstream", "a", "--downstream", "b", "--upstream", "c")
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == "carried"
    assert "to the upstream  ab" in result.output
    assert "to the client    c" in result.output
    held = _written(
        tmp_path, '(func (export "proxy_on_new_connection") (param i32) (result i32) (i32.const 1))'
    )
    as_json = _mixer("run-tcp", held, "--downstream", "a", "--json", "--trace")
    assert as_json.exit_code == 1
    document = json.loads(as_json.stdout)
    assert (document["verdict"], document["held_back"], document["to_upstream"]) == ("held", 0, "")
    assert document["trace"][0]["name"].startswith("proxy_on_")
    assert _mixer("run-tcp", held, "--downstream", "a").exit_code == 1
    result = _mixer("run-tcp", held, "--downstream", "a", "--trace")
    lines = result.output.splitlines()
    assert lines[0].startswith("proxy_on_new_connection(2) = STOP_ITERATION  [")
    assert "held" in lines
    result = _mixer("run-tcp", module, "--downstream", "@absent")
    assert result.exit_code == 2
    assert "absent: No such file" in result.stderr


def test_why_a_module_closed_a_connection() -> None:
    """The reason that it told is beside the verdict, and in the document."""
    config = '{"protocol": "TCP", "rules": [{"name": "all", "deny": {}}]}'
    closed = ("run-tcp", "builtin://policy", "--downstream", "a", "--config", config)
    assert _mixer(*closed).output.splitlines()[0] == "closed: denied_by_all"
    document = json.loads(_mixer(*closed, "--json").stdout)
    assert (document["verdict"], document["reason"]) == ("closed", "denied_by_all")


def test_metadata_of_http2(tmp_path: Path) -> None:
    """Each --metadata is a block that the module is told of, before the body."""
    callbacks = "".join(
        f'(func (export "proxy_on_{name}") (param i32 i32) (result i32) (i32.const 0))'
        for name in ("request_metadata", "response_metadata")
    )
    module = _written(tmp_path, callbacks)
    blocks = ("--metadata", "a: 1", "--metadata", "b: 2", "--response-metadata", "c: 3")
    lines = _mixer("run", module, "--trace", *blocks).output.splitlines()
    told = [line.partition(" ")[0] for line in lines if "_metadata(" in line]
    assert told == ["proxy_on_request_metadata(2,"] * 2 + ["proxy_on_response_metadata(2,"]
    assert _mixer("run", module, "--metadata", "a").exit_code == 2
