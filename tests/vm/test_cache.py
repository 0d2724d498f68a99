"""Compiled modules on disk."""

import errno
import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixer.vm import CompileCache, VmLimits, WasmEngine
from mixer.vm import engine as engine_module
from mixer.vm.fast import FastLinker
from tests.support.compile import wasm

ANSWER = '(module (func (export "answer") (result i32) (i32.const 42)))'
OTHER = '(module (func (export "answer") (result i32) (i32.const 43)))'


def compile_in(directory: Path, text: str = ANSWER) -> bool:
    """Compile a module and run it; whether it came from the cache."""
    with WasmEngine(CompileCache(directory)) as engine:
        module = engine.compile(wasm(text))
        linker = FastLinker(engine, [])
        instance = linker.instantiate(module, None, VmLimits(cpu=5.0))
        answer = instance.function("answer")
        assert answer is not None
        assert answer() == (42 if text == ANSWER else 43)
        instance.close()
        linker.close()
        return module.from_cache


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "deep" / "cache"


def the_entry(directory: Path) -> Path:
    """The only entry of a cache."""
    (entry,) = directory.iterdir()
    return entry


def test_second_compilation_comes_from_the_cache(directory: Path) -> None:
    """A module is compiled once, and another engine takes it from the disk."""
    assert [compile_in(directory) for _ in range(3)] == [False, True, True]


def test_modules_are_told_apart(directory: Path) -> None:
    """Each module has an entry of its own."""
    assert [compile_in(directory, text) for text in (ANSWER, OTHER, ANSWER, OTHER)] == [
        False,
        False,
        True,
        True,
    ]


def test_folder_and_entries_belong_to_the_user_alone(directory: Path) -> None:
    """Nobody else can write where code is loaded from."""
    compile_in(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert the_entry(directory).stat().st_mode & 0o077 == 0


def flipped(content: bytes, place: int) -> bytes:
    """The content with one bit changed."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "magic": lambda c: flipped(c, 0),
    "end of magic": lambda c: flipped(c, 16),
    "digest": lambda c: flipped(c, 20),
    "end of digest": lambda c: flipped(c, 48),
    "payload": lambda c: flipped(c, 49),
    "middle of payload": lambda c: flipped(c, len(c) // 2),
    "end of payload": lambda c: flipped(c, len(c) - 1),
    "truncated": lambda c: c[:-1],
    "only the head": lambda c: c[:49],
    "part of the head": lambda c: c[:10],
    "empty": lambda _: b"",
    "longer": lambda c: c + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_replaced(
    directory: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """An entry that is not what was written is not loaded: the module is compiled anew."""
    compile_in(directory)
    entry = the_entry(directory)
    sound = entry.read_bytes()
    entry.write_bytes(DAMAGES[damage](sound))
    with caplog.at_level(logging.WARNING):
        assert not compile_in(directory)
    assert "damaged" in caplog.text
    assert compile_in(directory)


def test_damaged_entry_is_removed(directory: Path) -> None:
    """Loading a damaged entry answers nothing and takes it away."""
    cache = CompileCache(directory)
    cache.store("key", b"payload")
    entry = the_entry(directory)
    entry.write_bytes(entry.read_bytes()[:-1])
    assert cache.load("key") is None
    assert not entry.exists()


def test_damaged_entry_that_cannot_be_removed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged entry on a disk that is now read-only costs a compilation, not the start."""
    cache = CompileCache(directory)
    cache.store("key", b"payload")
    the_entry(directory).write_bytes(b"rubbish")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert cache.load("key") is None


def test_entry_of_another_processor_is_compiled_anew(directory: Path) -> None:
    """An entry that is whole, but that wasmtime refuses, is compiled anew."""
    compile_in(directory)
    key = the_entry(directory).name.removesuffix(".2.cwasm")
    CompileCache(directory).store(key, b"\x7fELF of another machine")
    assert not compile_in(directory)
    assert compile_in(directory)


@pytest.mark.parametrize(
    ("name", "value"), [("wasmtime_version", lambda: "0.0.1"), ("_SETTINGS", "other")]
)
def test_entry_of_another_wasmtime_is_not_used(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Another version of wasmtime, or other settings of it, do not find the entry."""
    compile_in(directory)
    with monkeypatch.context() as changed:
        changed.setattr(engine_module, name, value)
        assert not compile_in(directory)
    assert compile_in(directory)


def test_missing_entry_is_silent(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """That a module is not there yet is no news."""
    assert CompileCache(directory).load("none") is None
    assert not caplog.records


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_folder_that_others_can_write_to_is_not_used(
    directory: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    """Who can write into the folder can run code here, so such a folder is not used."""
    compile_in(directory)
    directory.chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert not compile_in(directory)
    assert "others can write there" in caplog.text


def test_folder_of_another_user_is_not_used(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that belongs to somebody else is not used."""
    compile_in(directory)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert not compile_in(directory)
    assert "own it" in caplog.text


def test_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where there can be no folder, modules are compiled each time, and a warning says so."""
    (tmp_path / "file").write_text("in the way")
    for directory in (tmp_path / "file", tmp_path / "file" / "cache"):
        caplog.clear()
        assert [compile_in(directory) for _ in range(2)] == [False, False]
        assert "compiled at each start" in caplog.text


def test_lost_folder_costs_only_the_entry(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that disappears while the service runs is warned of, and nothing else."""
    cache = CompileCache(directory)
    directory.rmdir()
    cache.store("key", b"payload")
    assert cache.load("key") is None
    assert "compile cache" in caplog.text


def test_least_recently_used_entries_are_pruned(directory: Path) -> None:
    """Past the bound the entries go that were not used for longest; a load counts as a use."""
    cache = CompileCache(directory, max_bytes=3 * 1100)
    for age, key in enumerate(("first", "second", "third")):
        cache.store(key, bytes(1000))
        os.utime(directory / f"{key}.2.cwasm", (1000 + age, 1000 + age))
    assert cache.load("first") is not None
    cache.store("fourth", bytes(1000))
    kept = {key for key in ("first", "second", "third", "fourth") if cache.load(key)}
    assert kept == {"first", "third", "fourth"}


def test_nothing_is_left_over(directory: Path) -> None:
    """Storing leaves the entries and no temporary files."""
    cache = CompileCache(directory)
    for key in ("one", "two", "one"):
        cache.store(key, key.encode())
    assert sorted(path.name for path in directory.iterdir()) == ["one.2.cwasm", "two.2.cwasm"]


def test_an_entry_under_another_name_is_damaged(directory: Path) -> None:
    """A file that was renamed to another module's is not executed in its place."""
    cache = CompileCache(directory)
    cache.store("one", b"payload")
    (directory / "one.2.cwasm").rename(directory / "two.2.cwasm")
    assert cache.load("two") is None


def test_a_full_disk_leaves_no_part_of_an_entry(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry that cannot be written whole is gone, and costs a warning."""
    cache = CompileCache(directory)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.store("one", b"payload")
    assert list(directory.iterdir()) == []
    assert "No space left" in caplog.text


RACER = """
import hashlib, sys
from pathlib import Path
from mixer.vm import CompileCache
directory, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
cache = CompileCache(directory)
seen = 0
for i in range(rounds):
    body = bytes([seed, i % 256]) * 100_000
    cache.store("key", hashlib.sha256(body).digest() + body)
    found = cache.load("key")
    assert found is not None, "an entry that was there has gone"
    assert hashlib.sha256(found[32:]).digest() == found[:32], "half a file"
    seen += found[32] != seed
print(seen)
"""


@pytest.fixture
def racers(directory: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Two processes that store and load under the same key."""
    command = [sys.executable, "-W", "error", "-c", RACER, str(directory)]
    processes = [
        subprocess.Popen(
            [*command, str(seed), "150"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_processes_never_see_half_an_entry(
    racers: list["subprocess.Popen[str]"], directory: Path
) -> None:
    """Processes that write and read the same key at once see whole entries only."""
    for process in racers:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    left = CompileCache(directory).load("key")
    assert left is not None
    assert hashlib.sha256(left[32:]).digest() == left[:32]
    assert len(list(directory.iterdir())) == 1
