"""``mixer usage``."""

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixer.cli import app
from mixer.cli.usage import progress
from mixer.cli.usage.formats import safe_cell
from mixer.cli.usage.source import money
from mixer.state.ledger import record_of
from mixer.state.ledger.sqlite import SqliteLedger
from tests.support.ledger_entries import plan, usage
from tests.support.ledger_example import write_example


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The example of the page."""
    write_example(tmp_path / "usage.db")
    return tmp_path / "usage.db"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["usage", *map(str, arguments)])


def _of(file: Path, command: str, *arguments: str) -> str:
    result = _run(command, "--sqlite", file, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ((), "1 2 3 4"),
        (("--subject", "bob"), "4"),
        (("--subject", "nobody"), ""),
        (("--plan", "gold"), "1 2 3 4"),
        (("--plan", "gold@2"), ""),
        (("--plan", "silver"), ""),
        (("--meter", "calls"), "1 2 3 4"),
        (("--meter", "bytes"), ""),
        (("--from", "2026-11-03T09:30:00Z"), "2 3 4"),
        (("--from", "2026-11-03T10:30:00+01:00", "--to", "2026-11-04T11:00:00"), "2 3"),
        (("--to", "2026-11-04"), "1 2"),
        (("--from", "1969-01-01"), "1 2 3 4"),
    ],
)
def test_what_is_wanted(file: Path, options: tuple[str, ...], keys: str) -> None:
    """Records are found by subject, plan, meter and time: from the first to before the last."""
    found = _of(file, "export", "--format", "jsonl", *options)
    told = [json.loads(line)["idempotency_key"] for line in found.splitlines()]
    assert told == [f"req-{key}" for key in keys.split()]


def test_a_meter_alone(file: Path) -> None:
    """Of a record with several meters only the one that is wanted is told."""
    (line,) = _of(file, "export", "--format", "jsonl", "--subject", "bob", "--meter",
                  "total_tokens").splitlines()  # fmt: skip
    assert json.loads(line)["quantities"] == {"total_tokens": 400}
    rows = list(csv.DictReader(io.StringIO(_of(file, "export", "--meter", "calls"))))
    assert [(row["meter"], row["units"]) for row in rows] == [("calls", "1")] * 4


def test_what_came_before_counts_for_the_tiers(file: Path) -> None:
    """A day costs the same whether the days before it are told or not."""
    whole = _of(file, "sums", "--csv", "--subject", "alice").splitlines()
    second = _of(file, "sums", "--csv", "--subject", "alice", "--from", "2026-11-04").splitlines()
    assert [line for line in whole if "2026-11-04" in line] == second[1:]
    assert "alice,gold,1,total_tokens,2026-11-04,9000,0.0165,EUR" in second


def test_a_limit(file: Path) -> None:
    """No more records than that are shown, and that there are more is said apart."""
    result = _run("query", "--sqlite", file, "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert "there are more than 2" in result.stderr


def test_a_file(file: Path, tmp_path: Path) -> None:
    """An export goes where it is told; a place that cannot be written is told."""
    _of(file, "export", "-o", str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text() == _of(file, "export")
    result = _run("export", "--sqlite", file, "-o", tmp_path / "none" / "out.csv")
    assert result.exit_code == 1
    assert "No such file" in result.stderr


def test_the_ledger_of_a_configuration(file: Path, tmp_path: Path) -> None:
    """``-c`` reads the one that the service writes."""
    config = tmp_path / "mixer.yaml"
    head = "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\n"
    config.write_text(f"{head}spec: {{ledger: {{sqlite: {{path: usage.db}}}}}}\n")
    assert _run("verify", "-c", config).stdout == _of(file, "verify")
    config.write_text(head)
    result = _run("verify", "-c", config)
    assert (result.exit_code, "there is no spec.ledger in it" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (("query",), 2, "give one of --config and --sqlite"),
        (("query", "-c", "a", "--sqlite", "b"), 2, "give one of --config and --sqlite"),
        (("query", "--sqlite", "/none.db"), 1, "mixer usage: --sqlite: /none.db: there is no such"),
        (("query", "--sqlite", "x", "--from", "soon"), 2, "--from: must be a day or a time"),
        (("verify", "--sqlite", "x", "--head", "7"), 2, "--head: must be POSITION:DIGEST"),
        (
            ("verify", "--sqlite", "x", "--head", "1:abc"),
            2,
            "POSITION:DIGEST, a number and 64 hexa",
        ),
        (("verify", "--sqlite", "x", "--head", f"1:{' ab' * 32}"), 2, "--head: must be POSITION"),
    ],
)
def test_a_wrong_command(arguments: tuple[str, ...], status: int, expected: str) -> None:
    """It says what is wrong."""
    result = _run(*arguments)
    assert (result.exit_code, expected in result.stderr) == (status, True)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    """It is told, and not changed."""
    other = tmp_path / "other.db"
    other.write_bytes(b"something else" * 1000)
    result = _run("verify", "--sqlite", other)
    assert (result.exit_code, "file is not a database" in result.stderr) == (1, True)
    assert other.read_bytes() == b"something else" * 1000


def test_a_broken_chain(file: Path) -> None:
    """The first bad row is told, with status 1."""
    noted = _of(file, "verify").split()[-1]
    assert _of(file, "verify", "--head", noted)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE mixer_ledger_entries SET time = 1 WHERE position = 3")
    connection.close()
    result = _run("verify", "--sqlite", file)
    expected = "broken: row 3: its key or its time is not that of its entry\n"
    assert (result.exit_code, result.stderr) == (1, expected)


def test_hostile_texts(tmp_path: Path) -> None:
    """No cell of a CSV is a formula, no line of JSON is two, and nothing moves the cursor."""
    ledger = SqliteLedger(tmp_path / "usage.db")
    evil = ('=HYPERLINK("a")', "+1", "-1", "@x", "\tx", "a\nb", '"', "\x1b[2J")
    ledger.append([
        record_of(usage(text, text, {text: 1}, plan=text, version=text, labels={text: text}))
        for text in evil
    ])  # fmt: skip
    ledger.close()
    file = tmp_path / "usage.db"
    rows = list(csv.reader(io.StringIO(_of(file, "export"))))[1:]
    assert [row[2].removeprefix("'") for row in rows] == list(evil)
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n")]
    sums = list(csv.reader(io.StringIO(_of(file, "sums", "--csv"))))[1:]
    assert not [cell for row in sums for cell in row[:4] if cell[:1] in tuple("=+-@\t\r\n")]
    lines = _of(file, "export", "--format", "jsonl").splitlines()
    assert [json.loads(line)["subject"] for line in lines] == list(evil)
    for command in ("query", "sums"):
        assert "\x1b" not in _of(file, command)


def test_no_plan(tmp_path: Path) -> None:
    """Usage by a plan that is not in the ledger is summed without a cost."""
    ledger = SqliteLedger(tmp_path / "usage.db")
    ledger.append([record_of(usage("a")), record_of(plan("gold", "2"))])
    ledger.close()
    assert _of(tmp_path / "usage.db", "sums", "--csv").splitlines()[1].endswith(",1,,")


def test_progress(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long says on standard error how far it is."""
    monkeypatch.setattr(progress, "_EACH_S", 0.0)
    monkeypatch.setattr(progress, "_LOOK_AT", 2)
    result = _run("export", "--sqlite", file)
    assert result.stderr.splitlines() == ["2 records", "4 records"]


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0.00"), (1, "0.000000001"), (10**9, "1.00"), (-2_500_000_000, "-2.50"),
     (12_345_678_900, "12.3456789"), (-1, "-0.000000001")],
)  # fmt: skip
def test_money(nanos: int, text: str) -> None:
    """All digits that count, and two at least."""
    assert money(nanos) == text


def test_safe_cells() -> None:
    """Only what looks like a formula is changed."""
    assert [safe_cell(one) for one in ("a=1", "", "=1")] == ["a=1", "", "'=1"]


@pytest.mark.parametrize("command", ["query", "sums", "export", "verify"])
def test_help(command: str) -> None:
    """Each command shows how it is used."""
    assert "Examples" in _run(command, "--help").output


@pytest.mark.parametrize("command", ["export", "query"])
def test_nobody_reads(file: Path, command: str) -> None:
    """It ends quietly, with the status that shells give to such an end."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "mixer", "usage", command, "--sqlite", str(file)]
    done = subprocess.run(
        arguments, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
