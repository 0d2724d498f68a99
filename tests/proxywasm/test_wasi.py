"""WASI, as far as modules get it."""

import struct

import pytest

from mixer.proxywasm import LogLevel, host_functions
from mixer.proxywasm.wasi import MAX_RANDOM_BYTES, MAX_WRITE_BYTES, MODULES
from tests.support.guest import OK, WORD, Answer, Call, Guest, Phase, call
from tests.support.probe import DATA, FUNCTIONS

BADF, INVAL, NOTSUP = 8, 28, 58
TABLE = 0x300


def write(guest: Guest, fd: int, *parts: bytes, count: int | None = None) -> int | None:
    """Write parts in one call from the body callback, and tell its errno."""
    with guest.open(body=b"b") as context:
        context.on_request_headers(end_of_stream=False)
        number = len(parts) if count is None else count
        guest.script([call("fd_write", fd, TABLE, number, WORD)], Phase.REQUEST_BODY)
        vectors = b"".join(struct.pack("<II", guest.put(p), len(p)) for p in parts)
        guest.memory.write(TABLE, vectors)
        context.on_request_body(end_of_stream=True)
        (answer,) = guest.answers()
    if answer.status == OK:
        assert answer.data == sum(map(len, parts))
    return answer.status


@pytest.mark.parametrize(("fd", "level"), [(1, LogLevel.INFO), (2, LogLevel.ERROR)])
def test_output_is_logged(fd: int, level: LogLevel) -> None:
    """Standard output and error become one log line each, without the newline at the end."""
    with Guest() as guest:
        assert write(guest, fd, b"one ", b"", b"two\n") == OK
        assert write(guest, fd, b"\n\n") == OK
        assert guest.logs == [(level, "one two"), (level, "\n")]


def test_empty_output_is_no_line() -> None:
    """Nothing written is nothing logged."""
    with Guest() as guest:
        assert [write(guest, 1), write(guest, 1, b"")] == [OK, OK]
        assert guest.logs == []


def test_output_below_the_level_is_left_out() -> None:
    """Standard output is subject to the log level."""
    with Guest(services={"log_level": LogLevel.WARN}) as guest:
        assert [write(guest, 1, b"quiet"), write(guest, 2, b"loud")] == [OK, OK]
        assert guest.logs == [(LogLevel.ERROR, "loud")]


@pytest.mark.parametrize("fd", [0, 3, 2**32 - 1])
def test_no_other_files(fd: int) -> None:
    """There is nothing to write to but standard output and error."""
    with Guest() as guest:
        assert write(guest, fd, b"x") == BADF
        assert guest.logs == []


def test_long_output_is_cut() -> None:
    """Of a long output the beginning is logged, and all of it counts as written."""
    part = b"x" * (MAX_WRITE_BYTES // 2 + 1)
    with Guest() as guest, guest.open(body=b"b") as context:
        context.on_request_headers(end_of_stream=False)
        guest.script([call("fd_write", 1, TABLE, 3, WORD)], Phase.REQUEST_BODY)
        guest.memory.write(TABLE, struct.pack("<II", DATA + 0x1000, len(part)) * 3)
        context.on_request_body(end_of_stream=True)
        assert guest.answers() == [Answer(OK, 3 * len(part))]
        assert [len(line) for _, line in guest.logs] == [MAX_WRITE_BYTES]


def test_environment() -> None:
    """A module sees the variables of its configuration, each ended by a NUL."""
    environment = {"NAME": "value", "EMPTY": "", "Ü": "ö"}
    sizes, get = call("environ_sizes_get", WORD, WORD), call("environ_get", TABLE, DATA + 0x100)
    with Guest(environment=environment) as guest:
        assert guest.in_headers(sizes, get) == [Answer(OK, 3), Answer(OK)]
        pointers = struct.unpack("<3I", guest.memory.read(TABLE, 12))
        texts = [guest.memory.read(p, 40).partition(b"\0")[0].decode() for p in pointers]
        size = int.from_bytes(guest.memory.read(DATA + 8, 4), "little")
    assert texts == ["NAME=value", "EMPTY=", "Ü=ö"]
    assert size == sum(len(t.encode()) + 1 for t in texts)


def test_no_environment_and_no_arguments() -> None:
    """Without variables there are none, and there never are arguments."""
    with Guest() as guest:
        answers = guest.in_headers(
            call("environ_sizes_get", WORD, WORD),
            call("environ_get", TABLE, DATA),
            call("args_sizes_get", WORD, WORD),
            call("args_get", TABLE, DATA),
        )
    assert answers == [Answer(OK, 0), Answer(OK), Answer(OK, 0), Answer(OK)]


def test_clocks() -> None:
    """There is a wall clock and a monotonic clock, both in nanoseconds, and no other."""
    services = {"wall_clock": lambda: 2**60 + 1, "monotonic_clock": lambda: 2**33}
    with Guest(services=services) as guest:
        answers = guest.in_headers(
            call("clock_time_get", 0, 1 << 40, WORD),
            call("clock_time_get", 1, 0, WORD),
            call("clock_time_get", 2, 0, WORD),
            call("clock_res_get", 0, WORD),
            call("clock_res_get", 1, WORD),
            call("clock_res_get", 3, WORD),
        )
    assert answers == [
        Answer(OK, 2**60 + 1),
        Answer(OK, 2**33),
        Answer(NOTSUP),
        Answer(OK, 1),
        Answer(OK, 1),
        Answer(NOTSUP),
    ]


def test_randomness() -> None:
    """Random bytes come from the host's services, and exactly as many as were asked for."""
    with Guest(services={"random": lambda n: b"\x5a" * n}) as guest:
        answers = guest.in_headers(call("random_get", DATA, 5), call("random_get", DATA, 0))
        assert answers == [Answer(OK), Answer(OK)]
        assert guest.memory.read(DATA, 6) == b"\x5a" * 5 + b"\0"


def test_randomness_is_bounded() -> None:
    """A module cannot have the host make randomness without bound."""
    asked: list[int] = []
    with Guest(services={"random": lambda n: asked.append(n) or bytes(n)}) as guest:
        answers = guest.in_headers(
            call("random_get", DATA, MAX_RANDOM_BYTES),
            call("random_get", DATA, MAX_RANDOM_BYTES + 1),
            call("random_get", DATA, 2**32 - 1),
        )
    assert answers == [Answer(OK), Answer(INVAL), Answer(INVAL)]
    assert asked == [MAX_RANDOM_BYTES]


def test_randomness_by_default() -> None:
    """Without services of a test's own, two reads differ."""
    with Guest() as guest:
        guest.in_headers(call("random_get", DATA, 32), call("random_get", DATA + 32, 32))
        assert guest.memory.read(DATA, 32) != guest.memory.read(DATA + 32, 32)


def test_exit_is_logged_and_returns() -> None:
    """``proc_exit`` is logged and returns, and the module lives on."""
    with Guest() as guest:
        answers = guest.in_headers(call("proc_exit", 7), call("sched_yield"))
        assert answers == [Answer(0), Answer(OK)]
        assert guest.logs == [(LogLevel.ERROR, "proc_exit(7): the module ended itself")]


def test_state_of_files() -> None:
    """Standard output and error can be written to, and nothing else is open."""
    with Guest() as guest:
        answers = guest.in_headers(*(call("fd_fdstat_get", fd, TABLE) for fd in (1, 2, 0, 3)))
        assert [a.status for a in answers] == [OK, OK, BADF, BADF]
        assert guest.memory.read(TABLE, 24) == bytes(8) + (64).to_bytes(8, "little") + bytes(8)


def test_polling_returns_at_once_without_an_event() -> None:
    """A scheduler that polls neither waits nor fails."""
    with Guest() as guest:
        answers = guest.in_headers(call("poll_oneoff", 0, 0, 1, WORD))
    assert answers == [Answer(OK, 0)]


REFUSED = {
    "fd_prestat_get": 8,
    "fd_filestat_get": 8,
    "fd_prestat_dir_name": 52,
    "fd_read": 52,
    "fd_pread": 52,
    "fd_fdstat_set_flags": 52,
    "fd_readdir": 20,
    "path_open": 44,
    "path_filestat_get": 58,
    "path_unlink_file": 58,
    "path_create_directory": 58,
    "fd_pwrite": 8,
    "fd_sync": 8,
    "fd_datasync": 8,
    "fd_allocate": 8,
    "fd_advise": 0,
    "fd_tell": 8,
    "fd_renumber": 8,
    "fd_fdstat_set_rights": 8,
    "fd_filestat_set_size": 8,
    "fd_filestat_set_times": 8,
    "path_readlink": 58,
    "sock_send": 58,
    "sock_recv": 58,
    "sock_accept": 58,
    "sock_shutdown": 58,
    "proc_raise": 58,
    "fd_close": 0,
    "fd_seek": 0,
    "sched_yield": 0,
}


@pytest.mark.parametrize("name", REFUSED)
def test_fixed_answers(name: str) -> None:
    """What a module cannot do here links, and has one errno."""
    arguments = tuple(3 for _ in FUNCTIONS[name].signature.params)
    with Guest() as guest:
        assert guest.in_headers(Call(name, arguments)) == [Answer(REFUSED[name])]


@pytest.mark.parametrize("fd", [1, 2])
def test_files_of_the_outputs(fd: int) -> None:
    """Standard output and error can be flushed and asked for their place, and be written at one."""
    with Guest() as guest:
        answers = guest.in_headers(
            call("fd_sync", fd),
            call("fd_tell", fd, WORD),
            call("fd_renumber", fd, 3 - fd),
            call("fd_pwrite", fd, 0, 0, 0, WORD),
        )
    assert [a.status for a in answers] == [0, 0, NOTSUP, 0]


def test_both_names_of_the_module() -> None:
    """Every function is there under both names that WASI has had."""
    offered = {m: {f.name for f in host_functions() if f.module == m} for m in MODULES}
    assert MODULES == ("wasi_snapshot_preview1", "wasi_unstable")
    assert offered[MODULES[0]] == offered[MODULES[1]]
    assert len(offered[MODULES[0]]) >= 45
