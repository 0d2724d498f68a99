"""Foreign functions: bounds, contexts, and arguments of any kind.

What they answer is held to Envoy in ``tests/differential/test_foreign.py``.
"""

import time
import tracemalloc
import zlib
from struct import pack
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.cel.parsing import MAX_EXPRESSION_BYTES
from mixer.proxywasm import LogLevel, MetricStore
from mixer.proxywasm.foreign import FOREIGN_FUNCTIONS
from mixer.proxywasm.foreign.compression import MAX_UNCOMPRESSED_BYTES
from mixer.proxywasm.foreign.declared import MAX_DECLARED_BYTES, MAX_PROPERTIES
from mixer.proxywasm.foreign.expressions import MAX_EXPRESSIONS, MAX_EXPRESSIONS_BYTES, MAX_FAULTS
from mixer.proxywasm.foreign.messages import (
    DeclarePropertyArguments,
    SetEnvoyFilterStateArguments,
    SignArguments,
    VerifySignatureArguments,
)
from mixer.proxywasm.hostcalls.foreign import MAX_ARGUMENT_BYTES
from tests.support import probe
from tests.support.guest import BYTES, OK, WORD, Answer, Guest, Phase, at_configure, call

NOT_FOUND, BAD_ARGUMENT, SERIALIZATION, INTERNAL, UNIMPLEMENTED = 1, 2, 3, 10, 12
STATUSES = {OK, NOT_FOUND, BAD_ARGUMENT, SERIALIZATION, INTERNAL, UNIMPLEMENTED}


def foreign(name: str, arguments: bytes = b"") -> Any:
    return call("proxy_call_foreign_function", name.encode(), arguments, BYTES)


def warnings(guest: Guest) -> list[str]:
    return [line for level, line in guest.logs if level is LogLevel.WARN]


def test_a_bomb_is_refused() -> None:
    """What would uncompress to more than the bound is refused, without taking the memory."""
    bomb = zlib.compress(bytes(64 << 20), 9)
    with Guest() as guest:
        tracemalloc.start()
        try:
            answers = guest.in_headers(
                foreign("uncompress", bomb[:20_000]), foreign("uncompress", b"x")
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert [a.status for a in answers] == [INTERNAL, SERIALIZATION]
        assert peak < 3 * MAX_UNCOMPRESSED_BYTES
        assert warnings(guest) == [
            f"uncompress answers INTERNAL_FAILURE: what it would give has over "
            f"{MAX_UNCOMPRESSED_BYTES} bytes"
        ]


def test_a_long_argument_is_refused() -> None:
    """One byte more than the bound is not looked at."""
    body = bytes(MAX_ARGUMENT_BYTES + 1)
    long, good = (
        call("proxy_call_foreign_function", b"compress", probe.HEAP_START, size, BYTES)
        for size in (len(body), len(body) - 1)
    )
    with Guest() as guest:
        placed = call("proxy_get_buffer_bytes", 0, 0, len(body), BYTES)
        answers = guest.in_body(placed, long, good, body=body)
        assert [a.status for a in answers] == [OK, INTERNAL, OK]
        assert len(warnings(guest)) == 1


@pytest.mark.parametrize("name", ["nonesuch", "", "compress\0", "COMPRESS", "x" * 1000])
def test_unknown_functions(name: str) -> None:
    """A name that is not there is not found, and nothing is written."""
    assert at_configure(foreign(name)) == [Answer(NOT_FOUND)]


def test_expressions_outside_of_a_stream() -> None:
    """A plugin can evaluate what needs no request, and see itself."""
    answers = at_configure(
        foreign("expr_create", b"1 + 1"),
        foreign("expr_evaluate", bytes(4)),
        foreign("expr_create", b"plugin_name"),
        foreign("expr_evaluate", b"\1\0\0\0"),
        foreign("expr_create", b"request.path"),
        foreign("expr_evaluate", b"\2\0\0\0"),
    )
    assert [a.status for a in answers] == [OK, OK, OK, OK, OK, INTERNAL]
    assert [answers[1].data, answers[3].data] == [(2).to_bytes(8, "little"), b"probe"]


def test_a_plugin_keeps_so_many_expressions() -> None:
    """One more than the bound is refused until one is deleted."""
    with Guest() as guest:
        assert guest.root is not None
        created = FOREIGN_FUNCTIONS["expr_create"]
        with guest.open() as context:
            guest.vm.current = context
            tokens = [created(context, b"1") for _ in range(MAX_EXPRESSIONS)]
            assert len(set(tokens)) == MAX_EXPRESSIONS
            assert created(context, b"1") == INTERNAL
            assert FOREIGN_FUNCTIONS["expr_delete"](context, bytes(4)) == OK
            assert created(context, b"1") == MAX_EXPRESSIONS.to_bytes(4, "little")
            guest.vm.current = guest.root
        assert len(warnings(guest)) == 1


def test_why_a_text_is_no_expression() -> None:
    """The log has place and reason of each, in one short line, and at last no more of them."""
    texts = (b"1 +", b"true\n  &&", b"nonesuch(1)", b"'\xff", b"f" * 4000 + b"()", b"'\x1b[2J")
    with Guest() as guest:
        answers = guest.in_headers(*(foreign("expr_create", text) for text in texts))
        assert [a.status for a in answers] == [BAD_ARGUMENT] * len(texts)
        said = [line.removeprefix("expr_create answers BAD_ARGUMENT: ") for line in warnings(guest)]
        assert said[0].startswith("column 4: Syntax error: mismatched input '<EOF>' expecting ")
        assert said[1].startswith("line 2, column 5: Syntax error: ")
        assert said[2] == "there is no function nonesuch of 1 arguments"
        assert said[3].startswith("'utf-8' codec can't decode byte 0xff in position 1")
        assert said[4].startswith("there is no function ffff")
        assert len(said) == len(texts)
        assert all(len(line) <= 256 and line.isprintable() for line in said)
        guest.in_headers(*(foreign("expr_create", b"(") for _ in range(MAX_FAULTS)))
        assert len(warnings(guest)) == MAX_FAULTS


def test_what_a_plugin_keeps_of_expressions_is_bounded() -> None:
    """Long expressions fill the bound sooner: each byte of text takes hundreds of the host's."""
    with Guest() as guest:
        created, deleted = FOREIGN_FUNCTIONS["expr_create"], FOREIGN_FUNCTIONS["expr_delete"]
        with guest.open() as context:
            outer, guest.vm.current = guest.vm.current, context
            text = b"a" * (MAX_EXPRESSION_BYTES // 2)
            most = MAX_EXPRESSIONS_BYTES // len(text)
            answers = [created(context, text) for _ in range(most + 1)]
            assert [one == INTERNAL for one in answers] == [False] * most + [True]
            assert deleted(context, answers[0]) == OK
            assert created(context, text) != INTERNAL
            guest.vm.current = outer


def test_a_context_declares_so_many_properties() -> None:
    """One more than the bound is refused."""
    with Guest() as guest, guest.open() as context:
        outer, guest.vm.current = guest.vm.current, context
        declare = FOREIGN_FUNCTIONS["declare_property"]
        for number in range(MAX_PROPERTIES):
            arguments = DeclarePropertyArguments(name=str(number)).SerializeToString()
            assert declare(context, arguments) == OK
        one_more = DeclarePropertyArguments(name="more").SerializeToString()
        assert declare(context, one_more) == INTERNAL
        guest.vm.current = outer


def test_what_a_context_declares_is_bounded() -> None:
    """Schemas and names count together: a thousand large ones are not kept."""
    with Guest() as guest, guest.open() as context:
        outer, guest.vm.current = guest.vm.current, context
        declare = FOREIGN_FUNCTIONS["declare_property"]
        schema = bytes(MAX_DECLARED_BYTES // 4)
        answers = [
            declare(
                context,
                DeclarePropertyArguments(name=str(number), schema=schema).SerializeToString(),
            )
            for number in range(5)
        ]
        assert answers == [OK, OK, OK, INTERNAL, INTERNAL]
        guest.vm.current = outer


def test_a_hostile_expression_ends() -> None:
    """An expression that would run long is broken off, with a warning once."""
    ten = b"[1,2,3,4,5,6,7,8,9,10]"
    hostile = ten + b"".join(b".map(x%d,%s" % (n, ten) for n in range(7)) + b")" * 7
    began = time.process_time()
    with Guest() as guest:
        answers = guest.in_headers(
            foreign("expr_create", hostile),
            foreign("expr_evaluate", bytes(4)),
            foreign("expr_evaluate", bytes(4)),
        )
        assert [a.status for a in answers] == [OK, INTERNAL, INTERNAL]
        assert warnings(guest) == [
            "expr_evaluate answers INTERNAL_FAILURE: an expression takes too long"
        ]
    assert time.process_time() - began < 5


def test_higress_functions() -> None:
    """Those of Higress do what can be done here, or say that they do not."""
    with Guest(services={"log_level": LogLevel.WARN}) as guest:
        answers = guest.in_headers(
            foreign("get_log_level"),
            foreign("set_global_max_requests_per_io_cycle", bytes(8)),
            foreign("set_global_max_requests_per_io_cycle", b"1"),
            foreign("inject_encoded_data_to_filter_chain_on_header", b"\x0a\x01x\x10\x01"),
            call("proxy_get_upstream_hosts", BYTES),
        )
        assert answers == [
            Answer(OK, (3).to_bytes(4, "little")),
            Answer(OK, b""),
            Answer(BAD_ARGUMENT, b""),
            Answer(UNIMPLEMENTED, b""),
            Answer(OK, bytes(4)),
        ]
        assert len(warnings(guest)) == 1


def test_an_object_of_the_filter_state_ends_with_its_stream() -> None:
    """What one stream sets, another does not see; a plugin's own context has no state."""
    arguments = SetEnvoyFilterStateArguments(path="envoy.string", value="v").SerializeToString()
    path = call("proxy_get_property", b"filter_state\0envoy.string", BYTES)
    with Guest() as guest:
        one = guest.in_headers(foreign("set_envoy_filter_state", arguments), path)
        assert one == [Answer(OK, b""), Answer(OK, b"v")]
        assert guest.in_headers(path) == [Answer(NOT_FOUND)]
    assert at_configure(foreign("set_envoy_filter_state", arguments)) == [Answer(NOT_FOUND, b"")]


KEY = rsa.generate_private_key(65537, 1024)
PRIVATE = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@given(
    st.sampled_from([PRIVATE, PUBLIC]),
    st.lists(st.tuples(st.integers(0, len(PUBLIC) - 1), st.binary(max_size=8)), max_size=3),
)
def test_any_key_is_answered(key: bytes, changes: list[tuple[int, bytes]]) -> None:
    """A key that is broken somewhere signs, verifies, or is refused; nothing else happens."""
    for at, data in changes:
        key = key[:at] + data + key[at + len(data) :]
    signing = SignArguments(hash_function="sha256", private_key=key, text=b"t")
    checking = VerifySignatureArguments(
        hash_function="sha256", public_key=key, text=b"t", signature=bytes(128)
    )
    with Guest() as guest, guest.open() as context:
        for name, message in (("sign", signing), ("verify_signature", checking)):
            answer = FOREIGN_FUNCTIONS[name](context, message.SerializeToString())
            assert isinstance(answer, bytes) or answer in STATUSES


TEXT = st.text(max_size=12) | st.sampled_from(["sha256", "envoy.string", "envoy.network.ip"])
MESSAGES = st.one_of(
    st.builds(
        DeclarePropertyArguments, name=TEXT, readonly=st.booleans(), type=st.integers(-1, 9),
        schema=st.binary(max_size=9), span=st.integers(-1, 9),
    ),
    st.builds(SetEnvoyFilterStateArguments, path=TEXT, value=TEXT, span=st.integers(-1, 9)),
    st.builds(
        SignArguments, hash_function=TEXT, private_key=st.binary(max_size=40), text=st.binary(),
        private_key_pem=TEXT,
    ),
    st.builds(
        VerifySignatureArguments, hash_function=TEXT, public_key=st.binary(max_size=40),
        signature=st.binary(max_size=9), text=st.binary(max_size=9), public_key_pem=TEXT,
    ),
).map(lambda message: message.SerializeToString())  # fmt: skip
ARGUMENTS = st.one_of(
    st.binary(max_size=60),
    MESSAGES,
    st.integers(0, 5).map(lambda n: n.to_bytes(4, "little")),
    st.sampled_from(
        [
            b"request.path",
            b"1/0",
            b"[1].map(x, x)",
            b"nope",
            zlib.compress(b"x" * 99),
            b"filter_state",
        ]
    ),
)


def asked(most: int, *paths: bytes) -> bytes:
    sized = b"".join(len(path).to_bytes(4, "little") + path for path in paths)
    return most.to_bytes(4, "little") + sized


def given_back(answer: Answer, count: int) -> list[bytes | None]:
    """The values of `mixer_get_properties`."""
    sizes = [int.from_bytes(answer.data[4 * at : 4 * at + 4], "little") for at in range(count)]
    values: list[bytes | None] = []
    at = 4 * count
    for size in sizes:
        absent = size == 0xFFFFFFFF
        values.append(None if absent else answer.data[at : at + size])
        at += 0 if absent else size
    assert at == len(answer.data)
    return values


PROPERTIES = (
    b"request\0path", b"request\0headers\0x-a", b"request\0headers\0gone", b"request",
    b"plugin_name", b"nonesuch", b"request\0method\0more", b"filter_state\0x", b"filter_state",
    b"", b"\xff", b"request\0headers", b"mixer\0attribute\0request.path", b"response\0code",
)  # fmt: skip


def test_many_properties_at_once() -> None:
    """They are what each alone is, cut where they are too long."""
    alone = [call("proxy_get_property", path, BYTES) for path in PROPERTIES]
    with Guest() as guest:
        headers = [(b":path", b"/abcdefgh"), (b":method", b"GET"), (b"x-a", b"v")]
        whole, cut, *each = guest.in_headers(
            foreign("mixer_get_properties", asked(1 << 20, *PROPERTIES)),
            foreign("mixer_get_properties", asked(3, *PROPERTIES)),
            *alone,
            headers=headers,
        )
    single = [one.data if one.status == OK else None for one in each]
    assert given_back(whole, len(PROPERTIES)) == single
    assert single[:3] == [b"/abcdefgh", b"v", None]
    assert given_back(cut, len(PROPERTIES)) == [one and one[:3] for one in single]


def test_many_properties_while_headers_are_closed() -> None:
    """They are what each alone is: those of the request's headers are absent."""
    paths = PROPERTIES[:3]
    alone = [call("proxy_get_property", path, BYTES) for path in paths]
    with Guest() as guest:
        headers = [(b":path", b"/abcdefgh"), (b":method", b"GET"), (b"x-a", b"v")]
        together, *each = guest.in_body(
            foreign("mixer_get_properties", asked(1 << 20, *paths)), *alone, headers=headers
        )
    single = [one.data if one.status == OK else None for one in each]
    assert given_back(together, len(paths)) == single == [None, None, None]


@pytest.mark.parametrize(
    "arguments",
    [b"", b"\0\0\0", asked(1), asked(1, b"a")[:-1], asked(1, b"a") + b"x",
     asked(1, *[b"a"] * 257), asked(1, b"a" * 20_000)],
)  # fmt: skip
def test_properties_that_are_asked_for_badly(arguments: bytes) -> None:
    """What is malformed or too much is refused."""
    with Guest() as guest:
        (answer,) = guest.in_headers(foreign("mixer_get_properties", arguments))
    assert answer.status == BAD_ARGUMENT


def told(*values: tuple[int, int]) -> bytes:
    """Arguments of `mixer_record_metrics`."""
    return b"".join(pack("<IQ", *one) for one in values)


def test_many_metrics_at_once() -> None:
    """A counter is added to, a gauge is set, and a histogram takes a value."""
    store = MetricStore()
    with Guest(services={"metrics": store}) as guest:
        defined = [call("proxy_define_metric", kind, b"m", WORD) for kind in (0, 1, 2)]
        ids = [int(answer.data) for answer in guest.in_headers(*defined)]
        values = told(*zip(ids, (2, 3, 4), strict=True))
        answers = guest.in_headers(
            foreign("mixer_record_metrics", values),
            foreign("mixer_record_metrics", values),
            foreign("mixer_record_metrics", b""),
        )
    assert answers == [Answer(OK, b"")] * 3
    counter, gauge, histogram = store.snapshot()
    assert [counter.value, gauge.value, histogram.value, histogram.total] == [4, 3, 2, 8]


@pytest.mark.parametrize(
    "arguments", [told((4, 1), (8, 1)), told((4, 1))[:-1], told((4, 1)) + b"x", told((4, 1)) * 1025]
)
def test_metrics_that_are_told_badly(arguments: bytes) -> None:
    """Where one is unknown, or the arguments are malformed or too much, none is changed."""
    store = MetricStore()
    with Guest(services={"metrics": store}) as guest:
        guest.in_headers(call("proxy_define_metric", 0, b"m", WORD))
        (answer,) = guest.in_headers(foreign("mixer_record_metrics", arguments))
    assert answer.status == BAD_ARGUMENT
    assert [metric.value for metric in store.snapshot()] == [0]


NAMES = st.sampled_from(sorted(FOREIGN_FUNCTIONS)) | st.text(max_size=20)
PATHS = st.lists(
    st.sampled_from(
        [b"request", b"path", b"headers", b"filter_state", b"wasm.", b"wasm.x", b"x", b"", b"xds",
         b"metadata", b"plugin_name", b"response", b"trailers", b"node", b"\xff", b"0"]
    ),
    max_size=4,
).map(b"\0".join) | st.binary(max_size=20)  # fmt: skip
CALLS = st.one_of(
    st.builds(foreign, NAMES, ARGUMENTS),
    PATHS.map(lambda path: call("proxy_get_property", path, BYTES)),
    st.builds(lambda path, value: call("proxy_set_property", path, value), PATHS, st.binary()),
)


def test_any_arguments_are_answered() -> None:
    """Whatever is called with whatever, it has a status, and the neighbour goes on."""
    neighbour = Guest()
    declared = DeclarePropertyArguments(
        name="x", type=3, schema=b"type.googleapis.com/google.protobuf.Struct"
    ).SerializeToString()

    @given(st.lists(CALLS, min_size=1, max_size=10), st.sampled_from(list(Phase)[3:8]))
    @settings(max_examples=100, deadline=None)
    def check(calls: list[Any], phase: Phase) -> None:
        with (
            Guest(script=[foreign("declare_property", declared)]) as guest,
            guest.open() as context,
        ):
            guest.script(calls, phase)
            context.on_request_headers(end_of_stream=False)
            context.on_request_body(end_of_stream=True)
            context.log_stream()
            answers = guest.answers()
            assert {a.status for a in answers} - {None} <= STATUSES
        answers = neighbour.in_headers(call("proxy_get_property", b"plugin_name", BYTES))
        assert answers == [Answer(OK, b"probe")]

    check()
    neighbour.close()
