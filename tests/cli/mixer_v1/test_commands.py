"""``mixer check``, ``mixer quota`` and ``mixer report`` against a Mixer that answers as told."""

import json
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from mixer.attributes import Duration
from mixer.cli import app
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import decompress
from tests.cli.mixer_v1.scripted_mixer import ScriptedMixer, scripted_mixer

_SLOW_S = 60.0


@pytest.fixture
def mixer() -> Iterator[ScriptedMixer]:
    with scripted_mixer() as scripted:
        yield scripted


def _run(command: str, mixer: ScriptedMixer, *arguments: str) -> Result:
    return CliRunner().invoke(app, [command, "-m", mixer.address, *arguments])


def _lines(result: Result) -> list[str]:
    return [re.sub(r"  +", "  ", line.strip()) for line in result.stdout.splitlines()]


def _answers(response: pb.CheckResponse) -> "object":
    return lambda _request, _context: response


def _full() -> pb.CheckResponse:
    """An answer with everything that an answer can have."""
    response = pb.CheckResponse()
    told = response.precondition
    told.valid_duration.seconds = 60
    told.valid_use_count = 10_000
    references = told.referenced_attributes
    references.words.extend(["request.headers", "x-user", "[red]a\x1b[2Jb"])
    references.attribute_matches.add(name=-1, condition=2, map_key=-2)
    references.attribute_matches.add(name=0, condition=1)
    references.attribute_matches.add(name=-3, condition=3, regex="^a")
    references.attribute_matches.add(name=-9, condition=7)
    route = told.route_directive
    route.request_header_operations.add(name="x-user", value="alice", operation=0)
    route.request_header_operations.add(name="x-secret", operation=1)
    route.response_header_operations.add(name="x-seen", value="1", operation=2)
    route.direct_response_code = 302
    route.direct_response_body = "moved"
    quota = response.quotas["requests"]
    quota.granted_amount = 3
    quota.valid_duration.nanos = 500_000_000
    return response


def test_a_check_shows_the_whole_answer(mixer: ScriptedMixer) -> None:
    """Status, validity, references, header operations and quotas are in tables."""
    mixer.answer = _answers(_full())
    result = _run("check", mixer, "-q", "requests=5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert _lines(result) == [
        "Status  OK",
        "Valid  1m0s, 10,000 uses",
        "Direct response  302 moved",
        "",
        "Referenced attribute  Key  Condition",
        "(no word has the index -9)  7",
        r"[red]a\x1b[2Jb  REGEX ^a",
        "request.headers  x-user  EXACT",
        "source.ip  ABSENCE",
        "",
        "Headers of  Operation  Name  Value",
        "request  REPLACE  x-user  alice",
        "request  REMOVE  x-secret",
        "response  APPEND  x-seen  1",
        "",
        "Quota  Asked  Granted  Valid  Status",
        "requests  5  3  500ms  OK",
    ]


def test_json_has_the_same_facts(mixer: ScriptedMixer) -> None:
    """--json prints what was sent, what was answered, and a summary."""
    mixer.answer = _answers(_full())
    result = _run("check", mixer, "-q", "requests=5", "-a", "a=1s,b=2", "--json")
    document = json.loads(result.stdout)
    answer = document["answer"]
    assert document["mixer"] == mixer.address
    assert document["attributes"] == {
        "a": {"type": "duration", "value": "1s"},
        "b": {"type": "int64", "value": "2"},
    }
    assert answer["status"] == {"code": 0, "name": "OK", "message": ""}
    assert (answer["valid_duration"], answer["valid_use_count"]) == ("1m0s", 10_000)
    assert answer["referenced_attributes"][2:] == [
        {"name": "request.headers", "map_key": "x-user", "condition": "EXACT"},
        {"name": "source.ip", "map_key": None, "condition": "ABSENCE"},
    ]
    route = answer["route_directive"]
    assert route["request_header_operations"][1] == {
        "name": "x-secret", "value": "", "operation": "REMOVE",
    }  # fmt: skip
    assert route["direct_response"] == {"code": 302, "body": "moved"}
    quota = answer["quotas"]["requests"]
    assert (quota["asked"], quota["granted"], quota["valid_duration"]) == (5, 3, "500ms")
    assert document["summary"]["calls"] == 1
    assert document["summary"]["granted"] == {"requests": 3}


def test_a_denial_ends_with_1(mixer: ScriptedMixer) -> None:
    """A script can tell a denial by the exit status, and why by the text."""
    response = pb.CheckResponse()
    response.precondition.status.code = 7
    response.precondition.status.message = "denier.default:no"
    response.precondition.valid_use_count = -1
    response.precondition.valid_duration.seconds = 5
    mixer.answer = _answers(response)
    result = _run("check", mixer)
    assert result.exit_code == 1
    assert _lines(result) == [
        "Status  PERMISSION_DENIED denier.default:no", "Valid  5s, any number of uses",
    ]  # fmt: skip


def test_tables_for_scripts(mixer: ScriptedMixer) -> None:
    """Lines have no blanks at their ends, and durations of what came no digits below 1 ms."""
    response = _full()
    response.precondition.valid_duration.nanos = 950_383_675
    response.quotas["requests"].valid_duration.nanos = 1_500
    response.quotas["requests"].valid_duration.seconds = 0
    mixer.answer = _answers(response)
    result = _run("check", mixer, "-q", "requests=5")
    assert "  1m0.95s, 10,000 uses\n" in result.stdout
    assert "1.5µs" in result.stdout
    assert [line for line in result.stdout.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize(("granted", "code", "ended"), [(0, 0, 1), (3, 8, 1), (1, 0, 0)])
@pytest.mark.parametrize("command", ["check", "quota"])
def test_a_quota_that_grants_nothing_ends_with_1(
    mixer: ScriptedMixer, command: str, granted: int, code: int, ended: int
) -> None:
    """The exit status tells whether there was something, though the check is OK."""
    response = pb.CheckResponse()
    response.quotas["a"].granted_amount = granted
    response.quotas["a"].status.code = code
    mixer.answer = _answers(response)
    assert _run(command, mixer, "-q", "a=3").exit_code == ended


def test_a_quota_without_an_answer(mixer: ScriptedMixer) -> None:
    """It is told as such; a number that nobody names is shown as a number."""
    response = pb.CheckResponse()
    response.precondition.status.code = 99
    mixer.answer = _answers(response)
    result = _run("quota", mixer, "-q", "a=3")
    assert result.exit_code == 1
    assert _lines(result)[0] == "Status  CODE_99"
    assert _lines(result)[-1] == "a  3  no answer"


def test_quota_shows_quotas_only(mixer: ScriptedMixer) -> None:
    """The rest of an answer that allows is left out."""
    mixer.answer = _answers(_full())
    assert _lines(_run("quota", mixer, "-q", "requests=5")) == [
        "Quota  Asked  Granted  Valid  Status", "requests  5  3  500ms  OK",
    ]  # fmt: skip


def test_what_a_check_sends(mixer: ScriptedMixer) -> None:
    """Quotas are asked for with best effort unless told otherwise; ids are made unless given."""
    assert _run("check", mixer, "-q", "a=1,b=-2", "-s", "x=1", "-a", "y=1").exit_code == 1
    assert _run("check", mixer, "-q", "a=1", "--no-best-effort",
                "--deduplication-id", "mine").exit_code == 1  # fmt: skip
    first, second = mixer.checks
    assert decompress(first.attributes) == {"x": "1", "y": 1}
    assert {name: quota.amount for name, quota in first.quotas.items()} == {"a": 1, "b": -2}
    assert all(quota.best_effort for quota in first.quotas.values())
    assert first.deduplication_id
    assert (second.quotas["a"].best_effort, second.deduplication_id) == (False, "mine")


def test_each_call_has_its_own_deduplication_id(mixer: ScriptedMixer) -> None:
    """Repeated calls are charged each, those of several workers included."""
    result = _run("check", mixer, "-r", "5", "-c", "3")
    assert result.exit_code == 0
    assert len({request.deduplication_id for request in mixer.checks}) == 15
    assert _run("check", mixer, "-r", "2", "--deduplication-id", "").exit_code == 0
    assert [request.deduplication_id for request in mixer.checks[15:]] == ["", ""]


def test_repeated_calls_are_summed_up(mixer: ScriptedMixer) -> None:
    """Statuses, grants and times of all calls are told, and the first answer."""
    lock, count = threading.Lock(), iter(range(20))

    def answer(_request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        with lock:
            number = next(count)
        if number == 19:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
        response = pb.CheckResponse()
        response.precondition.status.code = 0 if number < 12 else 16
        response.quotas["a"].granted_amount = 2 if number < 12 else 0
        return response

    mixer.answer = answer
    result = _run("check", mixer, "-q", "a=2", "-r", "5", "-c", "4")
    assert result.exit_code == 3
    assert "RESOURCE_EXHAUSTED: too much\nit may be overloaded" in result.stderr
    shown = _lines(result)
    assert re.fullmatch(r"Calls  20 in [0-9.]+ s, answered [0-9,]+/s", shown[-6])
    assert shown[-5:-1] == ["OK  12", "UNAUTHENTICATED  7", "Failed  1 RESOURCE_EXHAUSTED",
                            "Granted a  24"]  # fmt: skip
    assert re.fullmatch(r"Latency  p50 [0-9.]+ ms, p99 [0-9.]+ ms, max [0-9.]+ ms", shown[-1])


def test_the_answer_can_be_left_out(mixer: ScriptedMixer) -> None:
    """--print_response=false leaves the summary, as for mixc's load."""
    result = _run("check", mixer, "--print_response=false")
    assert _lines(result)[0].startswith("Calls  1 in ")
    assert json.loads(_run("check", mixer, "--print_response=F", "--json").stdout)["answer"] is None


def test_the_rate_of_calls(mixer: ScriptedMixer) -> None:
    """--rate spaces the calls of a worker."""
    result = _run("check", mixer, "-r", "4", "--rate", "20", "--json")
    assert json.loads(result.stdout)["summary"]["seconds"] >= 0.15


def test_reports_come_in_batches(mixer: ScriptedMixer) -> None:
    """Each worker tells as many records as said, in calls of at most a batch."""
    result = _run("report", mixer, "--duration_attributes", "response.duration=5ms", "-r", "5",
                  "-c", "2", "--report_batch_size", "2")  # fmt: skip
    assert result.exit_code == 0
    assert _lines(result)[1] == "Records  10"
    assert sorted(len(request.attributes) for request in mixer.reports) == [1, 1, 2, 2, 2, 2]
    for request in mixer.reports:
        for record in request.attributes:
            told = decompress(record, request.default_words)
            assert told == {"response.duration": Duration(5_000_000)}
    assert {one.repeated_attributes_semantics for one in mixer.reports} == {1}


def test_the_global_dictionary_is_used_on_demand(mixer: ScriptedMixer) -> None:
    """--global-dictionary tells how many words the request relies on."""
    for command in ("check", "report"):
        assert _run(command, mixer, "-s", "source.name=x", "--global-dictionary").exit_code == 0
    (check,), (report,) = mixer.checks, mixer.reports
    assert (check.global_word_count, list(check.attributes.words)) == (222, ["x"])
    assert (report.global_word_count, list(report.default_words)) == (222, ["x"])


def test_an_attribute_of_another_type_than_istio_declares(mixer: ScriptedMixer) -> None:
    """A wrong guess of -a is told, with the flag that puts it right; it is sent as it is."""
    guessed = "source.uid=kubernetes://pod,request.path=a,source.ip=1:2,own.name=a,source.name=x"
    result = _run("check", mixer, "-a", guessed)
    assert result.stderr.splitlines() == [
        "mixer check: note: request.path is sent as 1 bytes, Istio declares STRING: "
        "see --string_attributes",
        "mixer check: note: source.ip is sent as 2 bytes, Istio declares IP_ADDRESS: "
        "see --bytes_attributes",
        "mixer check: note: source.uid is sent as STRING_MAP, Istio declares STRING: "
        "see --string_attributes",
    ]
    assert decompress(mixer.checks[0].attributes)["source.uid"] == {"kubernetes": "//pod"}


_FILE = """
attributes:
  source.name: "5"
  response.code: 200
  order.total: 1.5
  ok: true
  request.headers: {x-user: alice}
timestamp_attributes: {request.time: "1970-01-01T00:00:01Z"}
bytes_attributes: {source.ip: "c0:00:00:02"}
double_attributes: {whole: 2, text: "2.5"}
"""


def test_attributes_from_a_file(mixer: ScriptedMixer, tmp_path: Path) -> None:
    """A file has the types of YAML and JSON, and groups for others; flags come before it."""
    file = tmp_path / "attributes.yaml"
    file.write_text(_FILE)
    assert _run("check", mixer, "--file", str(file), "-a", "response.code=503").exit_code == 0
    assert decompress(mixer.checks[0].attributes) == {
        "source.name": "5", "response.code": 503, "order.total": 1.5, "ok": True,
        "request.headers": {"x-user": "alice"}, "request.time": 10**9,
        "source.ip": b"\xc0\0\0\2", "whole": 2.0, "text": 2.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "file.yaml:1: a: is none of string_attributes, int64_attributes"),
        ("[]", "file.yaml:1: must have the fields string_attributes"),
        ("attributes: 1", "file.yaml:1: attributes: must map names of attributes to values"),
        ("attributes: {a: [1]}", "attributes.a: must be a string, a number of 64 bits"),
        ("attributes: {a: {b: 1}}", "attributes.a: must be a string, a number of 64 bits"),
        ("attributes: {a: 9223372036854775808}", "attributes.a: must be a string, a number of 64"),
        ("int64_attributes:\n  a: x", "file.yaml:2: int64_attributes.a: 'x' is not of type int64"),
        ("bool_attributes: {a: 1}", "bool_attributes.a: is not of type bool: write true or false"),
        ("attributes: {a: 1}\nint64_attributes: {a: 1}", "int64_attributes.a: is given twice"),
        ("attributes: {a: 1}\n---\nattributes: {b: 1}", "file.yaml:3: must be one document"),
        ("{", "file.yaml:2: not YAML"),
        ("", "file.yaml: has no document in it"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    """The error names file, line and attribute, and the command ends with 2."""
    file = tmp_path / "file.yaml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["check", "--file", str(file)])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "-i", "x=y"], "mixer check: --int64_attributes 'x': 'y' is not of type int64"),
        (["check", "--file", "absent.yaml"], "mixer check: --file absent.yaml: cannot be read"),
        (["check", "--print_response=no"], "--print_response: 'no' is not of type bool"),
        (["check", "-m", ""], "mixer check: --mixer: write HOST:PORT with 0 < PORT < 65536"),
        (["quota", "-m", "127.0.0.1:99999"], "mixer quota: --mixer: write HOST:PORT"),
        (["report", "-m", "127.0.0.1"], "mixer report: --mixer: write HOST:PORT"),
        (["check", "-m", "http://127.0.0.1:1"], "mixer check: --mixer: write HOST:PORT"),
        (["check", "-q", "a"], "mixer check: --quotas 'a': write NAME=VALUE"),
        (["quota", "-a", "x=1"], "mixer quota: --quotas: name a quota"),
        (["report", "-a", "=1"], "mixer report: --attributes '=1': write NAME=VALUE"),
    ],
)
def test_a_command_that_cannot_be_used(arguments: list[str], message: str) -> None:
    """It ends with 2 before anything is sent."""
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_nobody_listens() -> None:
    """The message says what to start, and the command ends with 3."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner().invoke(app, ["check", "-m", address])
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"mixer check: no Mixer answers at {address}: start one" in result.stderr


class _Closing(socketserver.BaseRequestHandler):
    """What a listener with TLS does to plaintext."""

    def handle(self) -> None:
        self.request.recv(1)


class _Http(socketserver.BaseRequestHandler):
    """What knows no HTTP/2."""

    def handle(self) -> None:
        self.request.recv(1)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize(("handler", "options"), [(_Closing, []), (_Http, []), (_Http, ["--tls"])])
def test_what_listens_speaks_no_grpc(
    handler: type[socketserver.BaseRequestHandler], options: list[str]
) -> None:
    """The message does not ask to start a Mixer, but for TLS or another port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        result = CliRunner().invoke(app, ["check", "-m", address, *options])
        server.shutdown()
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"mixer check: something answers at {address}, but not by gRPC" in result.stderr
    assert "try --tls" in result.stderr
    assert "no Mixer answers" not in result.stderr


def test_something_else_listens() -> None:
    """A gRPC server without Mixer's service is told apart."""
    with scripted_mixer("another.Service") as other:
        result = _run("report", other, "-a", "x=1")
    assert result.exit_code == 3
    assert "UNIMPLEMENTED" in result.stderr
    assert "does not speak istio.mixer.v1" in result.stderr


def test_an_answer_that_does_not_come(mixer: ScriptedMixer) -> None:
    """--timeout bounds each call."""
    over = threading.Event()

    def answer(_request: pb.CheckRequest, _context: object) -> pb.CheckResponse:
        over.wait(_SLOW_S)
        return pb.CheckResponse()

    mixer.answer = answer
    result = _run("check", mixer, "--timeout", "0.2", "--json")
    over.set()
    assert result.exit_code == 3
    assert "did not answer within 0.2 s (--timeout)" in result.stderr
    document = json.loads(result.stdout)
    assert document["answer"] is None
    assert document["summary"]["failures"][0]["code"] == "DEADLINE_EXCEEDED"


def test_a_mixer_with_a_smaller_dictionary(mixer: ScriptedMixer) -> None:
    """Its error leads to the option that caused it."""

    def answer(_request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        context.abort(
            grpc.StatusCode.INTERNAL,
            "inconsistent global dictionary versions used: mixer knows 150 words, caller knows 222",
        )
        raise AssertionError

    mixer.answer = answer
    result = _run("check", mixer, "--global-dictionary")
    assert result.exit_code == 3
    assert "leave out --global-dictionary" in result.stderr


def test_ctrl_c_ends_many_calls_early(mixer: ScriptedMixer) -> None:
    """What was done until then is summed up, and the status is that of a shell for Ctrl-C."""
    begun = threading.Event()

    def answer(_request: pb.CheckRequest, _context: object) -> pb.CheckResponse:
        if len(mixer.checks) > 20:
            begun.set()
        return pb.CheckResponse()

    mixer.answer = answer
    # A shell has the processes in its background ignore Ctrl-C, and so would those of the tests.
    hearing = ["env", "--default-signal=INT"]
    command = [*hearing, sys.executable, "-m", "mixer", "check", "-m", mixer.address]
    with subprocess.Popen(
        [*command, "-r", "10000000", "-c", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert begun.wait(_SLOW_S)
            process.send_signal(signal.SIGINT)
            printed, errors = process.communicate(timeout=_SLOW_S)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, b"")
    assert b"Calls " in printed
    assert b"Failed" not in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["-s=source.name=a=b", "-r=2", "-q=calls=3", "--print_response"],
        ["--print_response", "-s", "source.name=a=b", "-r2", "-qcalls=3"],
        ["--string_attributes=source.name=a=b", "--repeat=2", "--quotas", "calls=3"],
    ],
)
def test_flags_are_written_as_for_mixc(mixer: ScriptedMixer, arguments: list[str]) -> None:
    """A short one with an equals sign, and one of true or false without a value."""
    result = CliRunner().invoke(app, ["check", f"-m={mixer.address}", *arguments])
    assert _lines(result)[0] == "Status  OK"
    first, second = mixer.checks
    assert first.attributes == second.attributes
    assert decompress(first.attributes) == {"source.name": "a=b"}
    assert first.quotas["calls"].amount == 3


def test_no_proxy_stands_between(mixer: ScriptedMixer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever `http_proxy` is for, the Mixer is where `-m` says."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert _run("check", mixer, "-s", "source.name=a").exit_code == 0


def test_what_a_server_says_of_a_failure_moves_no_cursor(mixer: ScriptedMixer) -> None:
    """Escapes in its message are shown as such."""
    mixer.answer = lambda _, context: context.abort(grpc.StatusCode.ABORTED, "a\x1b[2Jb\nc")
    result = _run("check", mixer, "-s", "source.name=a")
    assert result.exit_code == 3
    assert "ABORTED: a\\x1b[2Jb\\nc" in result.stderr
    assert "\x1b" not in result.stderr
