"""What every ledger does."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from mixer.cli.usage.source import END_OF_TIME
from mixer.state.ledger import GENESIS, Head, next_digest, record_of
from mixer.state.ledger.entries import MAX_TIME
from mixer.state.ledger.verification import BrokenChainError, parse_head, verify
from tests.state.ledger.conftest import Place
from tests.support.ledger_entries import TIME, plan, records, usage

_APPENDS = """
import sys
from mixer.state.ledger.postgresql import PostgresqlLedger, PostgresqlOptions
from mixer.state.ledger.sqlite import SqliteLedger
from pathlib import Path
from tests.support.ledger_entries import records
kind, where, name = sys.argv[1:]
if kind == "sqlite":
    ledger = SqliteLedger(Path(where))
else:
    ledger = PostgresqlLedger(PostgresqlOptions(where))
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    ledger.append(records(f"{name}-{number}", f"both-{number}"))
ledger.close()
"""


def test_an_empty_ledger(place: Place) -> None:
    """It has no rows, and a head that says so."""
    ledger = place.writer()
    assert ledger.head() == GENESIS
    ledger.close()
    reader = place.reader()
    assert (reader.head(), reader.last(), list(reader.rows())) == (GENESIS, 0, [])
    assert verify(reader) == GENESIS
    reader.close()


def test_what_is_appended(place: Place) -> None:
    """It is there in order, chained, after the ledger was opened again too."""
    ledger = place.writer()
    first = ledger.append(records("a", "b"))
    ledger.close()
    ledger = place.writer()
    second = ledger.append([record_of(plan()), *records("c")])
    assert (first.stored, second.stored, second.head.position) == (2, 2, 4)
    assert ledger.head() == second.head
    ledger.close()
    reader = place.reader()
    rows = list(reader.rows())
    assert [row.key for row in rows] == [b"ua", b"ub", b"p4:gold1", b"uc"]
    digest = GENESIS.digest
    for number, row in enumerate(rows, start=1):
        digest = next_digest(digest, number, row.entry)
        assert (row.position, row.digest) == (number, digest)
    assert reader.head() == verify(reader) == Head(4, digest)
    assert [row.position for row in reader.rows(after=2)] == [3, 4]
    assert [row.position for row in reader.plans()] == [3]
    reader.close()


def test_a_record_is_there_once(place: Place) -> None:
    """The same record again is no other one; another content under its key is told."""
    ledger = place.writer()
    ledger.append(records("a"))
    other = record_of(usage("a", "mallory"))
    appended = ledger.append([*records("a", "b", "b"), other])
    assert (appended.stored, appended.duplicates, appended.conflicts) == (1, 2, (b"ua",))
    assert ledger.append(records("a", "b")).head == appended.head
    ledger.close()
    reader = place.reader()
    assert [row.entry for row in reader.rows()] == [one.entry for one in records("a", "b")]
    assert verify(reader) == appended.head
    reader.close()


def test_more_records_than_one_statement_takes(place: Place) -> None:
    """A large batch is appended whole, and read in pages."""
    ledger = place.writer()
    many = records(*map(str, range(2345)))
    ledger.append(many[:1])
    assert ledger.append(many).stored == 2344
    ledger.close()
    reader = place.reader()
    assert [row.key for row in reader.rows()] == [one.key for one in many]
    assert len(list(reader.usage(TIME, TIME + 1))) == 2345
    assert verify(reader).position == 2345
    reader.close()


def test_usage_by_time(place: Place) -> None:
    """It is read by time, whatever its order in the chain, which clocks have no part in."""
    ledger = place.writer()
    times = [TIME + 5, TIME, TIME + 9, TIME, 1]
    ledger.append([record_of(usage(str(n), time=t)) for n, t in enumerate(times)])
    ledger.close()
    reader = place.reader()
    found = [(row.time, row.position) for row in reader.usage(TIME, TIME + 9)]
    assert found == [(TIME, 2), (TIME, 4), (TIME + 5, 1)]
    assert verify(reader).position == 5
    reader.close()


def test_several_processes(place: Place) -> None:
    """Processes that append at the same time make one chain, with each record once."""
    place.writer().close()
    command = [sys.executable, "-c", _APPENDS, *place.arguments]
    running = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two", "three")
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
    reader = place.reader()
    keys = Counter(row.key for row in reader.rows())
    assert len(keys) == 60 * 4
    assert set(keys.values()) == {1}
    assert verify(reader).position == 240
    reader.close()


_ENTRIES = "mixer_ledger_entries"
_TAMPERED: dict[str, tuple[str, str]] = {
    "changed entry": (f"UPDATE {_ENTRIES} SET entry = (SELECT entry FROM {_ENTRIES} WHERE"
                      " position = 1) WHERE position = 3", "row 3: its digest"),
    "changed time": (f"UPDATE {_ENTRIES} SET time = 7 WHERE position = 2", "row 2: its key"),
    "changed key": (f"UPDATE {_ENTRIES} SET key = (SELECT digest FROM {_ENTRIES} WHERE"
                    " position = 1) WHERE position = 4", "row 4: its key"),
    "missing row": (f"DELETE FROM {_ENTRIES} WHERE position = 2", "row 2: it is missing; the next"),
    "missing first": (f"DELETE FROM {_ENTRIES} WHERE position = 1", "row 1: it is missing"),
    "missing end": (f"DELETE FROM {_ENTRIES} WHERE position = 5", "row 5: it is missing, and all"),
    "missing all": (f"DELETE FROM {_ENTRIES}", "row 1: it is missing, and all"),
    "moved row": (f"UPDATE {_ENTRIES} SET position = 9 WHERE position = 5", "row 6: it is behind"),
    "row below": (f"UPDATE {_ENTRIES} SET position = -1 WHERE position = 5", "row -1: it was put"),
    "head moved": ("UPDATE mixer_ledger_head SET position = 4", "row 5: it is behind"),
    "other head": (f"UPDATE mixer_ledger_head SET digest = (SELECT digest FROM {_ENTRIES} WHERE"
                   " position = 1)", "row 5: the head of the ledger is of another row"),
}  # fmt: skip


@pytest.mark.parametrize("name", _TAMPERED)
def test_what_the_chain_shows(place: Place, name: str) -> None:
    """A row that was changed, taken out or moved is found, and the first such row is told."""
    ledger = place.writer()
    ledger.append(records("a", "b", "c", "d", "e"))
    ledger.close()
    statement, expected = _TAMPERED[name]
    place.execute(statement)
    reader = place.reader()
    with pytest.raises(BrokenChainError, match=expected):
        verify(reader)
    reader.close()


@pytest.mark.parametrize("position", [0, -1, -(1 << 63)])
def test_a_row_below_the_first(place: Place, position: int) -> None:
    """It would be summed, so that it must show, in a ledger that has no other row as well."""
    ledger = place.writer()
    ledger.append(records("a"))
    ledger.close()
    place.execute(f"UPDATE {_ENTRIES} SET position = {position}")
    place.execute(f"UPDATE mixer_ledger_head SET position = 0, digest = {place.zeros}")
    reader = place.reader()
    with pytest.raises(BrokenChainError, match=f"row {position}: it was put in"):
        verify(reader)
    reader.close()


def test_the_last_time_that_there_is(place: Place) -> None:
    """It is within the time that is read."""
    ledger = place.writer()
    ledger.append([record_of(usage("a", time=MAX_TIME))])
    ledger.close()
    reader = place.reader()
    assert [row.key for row in reader.usage(0, END_OF_TIME)] == [b"ua"]
    reader.close()


def _truncate(place: Place) -> None:
    place.execute(f"DELETE FROM {_ENTRIES} WHERE position > 3")
    place.execute(
        f"UPDATE mixer_ledger_head SET position = 3, digest = (SELECT digest FROM {_ENTRIES}"
        " WHERE position = 3)"
    )


def test_what_is_appended_after_the_end_was_cut(place: Place) -> None:
    """Whoever has the ledger open goes on from the end that there is: the chain has no gap."""
    ledger = place.writer()
    ledger.append(records("a", "b", "c", "d", "e"))
    _truncate(place)
    assert ledger.append(records("f")).head.position == 4
    ledger.append(records("d", "g"))
    ledger.close()
    reader = place.reader()
    assert [row.key for row in reader.rows()] == [b"ua", b"ub", b"uc", b"uf", b"ud", b"ug"]
    assert verify(reader).position == 6
    reader.close()


def _write_anew(place: Place) -> None:
    place.execute(f"DELETE FROM {_ENTRIES}")
    place.execute(f"UPDATE mixer_ledger_head SET position = 0, digest = {place.zeros}")
    ledger = place.writer()
    ledger.append(records("a", "b", "c", "x", "e", "f"))
    ledger.close()


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        pytest.param(_truncate, "row 4: it is missing: .* had 5 rows", id="truncated"),
        pytest.param(_write_anew, "row 5: its digest is not the one that was noted", id="anew"),
    ],
)
def test_what_a_noted_head_shows(
    place: Place, tamper: Callable[[Place], None], expected: str
) -> None:
    """With a head that was noted elsewhere, a cut end and a chain written anew show as well."""
    ledger = place.writer()
    noted = parse_head(str(ledger.append(records("a", "b", "c", "d", "e")).head))
    ledger.append(records("f"))
    ledger.close()
    reader = place.reader()
    assert verify(reader, noted).position == 6
    reader.close()
    tamper(place)
    reader = place.reader()
    verify(reader)
    with pytest.raises(BrokenChainError, match=expected):
        verify(reader, noted)
    reader.close()


@pytest.mark.parametrize("text", ["", "5", "5:12", f"x:{'0' * 64}", f"-1:{'0' * 64}", "5:zz"])
def test_a_head_that_is_none(text: str) -> None:
    """It is refused."""
    with pytest.raises(ValueError, match=r"must be|non-hex"):
        parse_head(text)
