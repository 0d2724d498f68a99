"""What only the store in a file does."""

import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mixer.state import EnqueueResult, SetResult, StateLimits, StoreError
from mixer.state.lmdb_store import folder as folders
from tests.state.conftest import wait_until
from tests.state.peer import Member, Peer, Place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "run" / "state"


@pytest.fixture
def member(folder: Path) -> Iterator[Member]:
    """A store that is open."""
    one = Member(Place(folder))
    yield one
    one.close()


def refusal(folder: Path) -> str:
    """Why a store does not open."""
    with pytest.raises(StoreError) as caught:
        Member(Place(folder))
    return str(caught.value)


def test_only_the_user_reads_it(member: Member, folder: Path) -> None:
    """The folder and all that is in it are of the user alone, whatever the umask."""
    for path in (folder, *folder.iterdir()):
        if path.name != "format":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_folder_of_others_is_refused(folder: Path) -> None:
    """A folder in which others may read or write is not used."""
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    assert refusal(folder) == (
        f"{folder}: other users have permissions in it (050): chmod 700 {folder}"
    )


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A path that leads through a file is refused, with the system's reason."""
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "state").endswith("file/state: Not a directory")


def test_another_format_is_refused(folder: Path) -> None:
    """What another version wrote is left alone."""
    Member(Place(folder)).close()
    marker = folder / "format"
    marker.write_text(marker.read_text().replace("mixer-state 1", "mixer-state 0"))
    assert "written in the format 'mixer-state 0', and this version reads 'mixer-state 1'" in (
        refusal(folder)
    )
    assert (folder / "data.mdb").exists()


def test_a_foreign_file_is_refused(folder: Path) -> None:
    """A database that something else made is not written to."""
    folder.mkdir(mode=0o700, parents=True)
    (folder / "data.mdb").write_bytes(b"of somebody else")
    assert "that this service did not write" in refusal(folder)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    """What is no database is an error and no crash."""
    Member(Place(folder)).close()
    (folder / "data.mdb").write_bytes(bytes(8192))
    assert refusal(folder).startswith(f"{folder}: ")


def test_a_restart_of_the_machine_empties_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a restart the file may be torn, so it is made anew."""
    with closing(Member(Place(folder))) as one:
        one.data.set("vm", b"k", b"v")
    with closing(Member(Place(folder))) as one:
        assert one.data.get("vm", b"k") is not None
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(folders, "_BOOT_ID", boot)
    with closing(Member(Place(folder))) as one:
        assert one.data.get("vm", b"k") is None


def test_one_process_opens_it_once(member: Member, folder: Path) -> None:
    """LMDB's locks are of the process, so that a second time is refused."""
    assert "already open in this process" in refusal(folder)
    assert member.data.set("vm", b"k", b"v") is SetResult.OK


def test_a_full_file_takes_nothing_and_gives_everything(folder: Path) -> None:
    """What does not fit is FULL; all that is in can be taken out, and makes room."""
    limits = StateLimits(max_queue_bytes=1 << 30, max_data_bytes=1 << 30)
    with closing(Member(Place(folder, limits=limits, map_size=4 << 20))) as one:
        queue = one.register("vm", b"q")
        assert queue is not None
        for _ in range(3):
            put = 0
            while one.queues.enqueue(queue, b"%08d" % put + bytes(put % 5000)) is EnqueueResult.OK:
                put += 1
            assert 100 < put < 10_000
            assert one.data.set("vm", b"large", bytes(100_000)) is SetResult.FULL
            taken = one.take_all(queue)
            assert [message[:8] for message in taken] == [b"%08d" % n for n in range(put)]
        assert one.data.set("vm", b"large", bytes(100_000)) is SetResult.OK
        assert one.queues.usage()[queue].refused == 3
        assert one.data.usage()["vm"].refused == 3


def test_small_keys_fill_a_file_too(folder: Path) -> None:
    """Keys are refused before their bookkeeping has no room: those that are there can be set."""
    limits = StateLimits(max_keys=1_000_000, ttl=3600.0)
    with closing(Member(Place(folder, limits=limits, map_size=4 << 20))) as one:
        number = 0
        while one.data.set("vm", b"%d" % number, b"v" * 100) is SetResult.OK:
            number += 1
        assert number > 1000
        assert one.data.usage()["vm"].keys == number
        assert {one.data.set("vm", b"%d" % n, b"w" * 100) for n in range(number)} == {SetResult.OK}


def consistent(one: Member, queue: int) -> None:
    """Check that the counts of a store are those of its content."""
    # A write that was committed when its process was killed may not be seen by readers yet: LMDB
    # tells them of it when the next writer finds the lock of the dead.
    assert one.register("vm", b"q") == queue
    usage, kept = one.data.usage()["vm"], [one.data.get("vm", b"%d" % n) for n in range(50)]
    found = [(n, entry) for n, entry in enumerate(kept) if entry is not None]
    assert usage.keys == len(found)
    assert usage.size == sum(len(b"%d" % n) + len(entry.value) for n, entry in found)
    before = one.queues.usage()[queue]
    taken = one.take_all(queue)
    assert (before.length, before.size) == (len(taken), sum(map(len, taken)))


def test_killed_while_it_writes(folder: Path) -> None:
    """A process that is killed at any moment leaves whole records and no lock behind."""
    place = Place(folder)
    with closing(Member(place)) as one:
        queue = one.register("vm", b"q")
        assert queue is not None
        for round_ in range(8):
            with Peer(place) as other:
                other.begin("write_for_ever", queue)
                before = one.queues.usage()[queue].length
                wait_until(lambda b=before: one.queues.usage()[queue].length != b)
                for _ in range(50 * round_):  # another moment each time
                    one.queues.usage()
                other.kill()
            consistent(one, queue)
            assert one.data.set("vm", b"1", b"mine") is SetResult.OK
            assert one.queues.enqueue(queue, b"mine") is EnqueueResult.OK
            assert one.queues.dequeue(queue) == b"mine"


def test_killed_while_it_reads(folder: Path) -> None:
    """What a killed process was reading does not fill the file for ever."""
    place = Place(folder, map_size=4 << 20)
    with closing(Member(place)) as one, Peer(place) as other:
        other.ask("read_for_ever")
        other.kill()

        def replaced() -> list[SetResult]:
            return [one.data.set("vm", b"%d" % (n % 10), bytes(9000)) for n in range(1000)]

        assert SetResult.FULL in replaced()
        assert set(replaced()) == {SetResult.OK}


def test_a_file_that_another_process_lets_grow(folder: Path) -> None:
    """A process with a smaller mapSize goes on in a file that has outgrown it."""
    limits = StateLimits(max_data_bytes=1 << 30)
    with (
        closing(Member(Place(folder, limits=limits, map_size=4 << 20))) as one,
        Peer(Place(folder, limits=limits, map_size=64 << 20)) as other,
    ):
        for number in range(8):
            value = bytes(1 << 20)
            assert other.ask("data.set", "vm", b"%d" % number, value) is SetResult.OK
        assert [one.data.get("vm", b"%d" % n) is not None for n in range(8)] == [True] * 8
        assert one.data.set("vm", b"9", bytes(1 << 20)) is SetResult.OK
        assert other.ask("data.get", "vm", b"9") is not None


def test_pipes_of_the_dead_are_removed(folder: Path) -> None:
    """The next one to open a store clears away what killed processes left."""
    place = Place(folder)
    with Peer(place) as other:
        queue = other.ask("register", "vm", b"q")
        other.kill()
    (left,) = folder.glob("wake-*")
    with closing(Member(place)) as one:
        assert left not in folder.glob("wake-*")
        one.queues.enqueue(queue, b"m")
        assert one.take_all(queue) == [b"m"]
    assert list(folder.glob("wake-*")) == []


def test_the_dead_are_told_nothing(folder: Path) -> None:
    """What a killed process was to be told is forgotten, and its messages are not."""
    place = Place(folder)
    with Peer(place) as other, closing(Member(place)) as one:
        queue = other.ask("register", "vm", b"q")
        other.kill()
        one.queues.enqueue(queue, b"m")
        assert rows_of_mail(one) == 1
    with closing(Member(place)) as one:
        assert rows_of_mail(one) == 0
        assert one.take_all(queue) == [b"m"]


def rows_of_mail(one: Member) -> int:
    env = one.data._env  # type: ignore[attr-defined]
    with env.begin() as txn:
        return int(txn.stat(env.mail)["entries"])


def test_a_full_pipe_loses_no_notification(folder: Path) -> None:
    """However many messages come while a process is busy, it is told of each."""
    place = Place(folder, limits=StateLimits(max_queue_length=100_000))
    with Peer(place) as other, closing(Member(place)) as here:
        queue = here.register("vm", b"q")
        other.ask("enqueue_many", queue, [b""] * 60_000)
        assert here.told(60_000) == [queue] * 60_000


def test_closing_leaves_no_thread(folder: Path) -> None:
    """A closed store has no thread, no file and no pipe open."""
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    Member(Place(folder)).close()
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files
