"""Answers and summaries as tables for people."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixer.attributes import Duration
from mixer.cli.mixer_v1.answer import CheckAnswer, Operation, Status
from mixer.cli.mixer_v1.summary import Summary
from mixer.cli.mixer_v1.syntax import printable
from mixer.cli.mixer_v1.times import format_duration

_Row = Sequence[str]
_WIDEST = 1_000_000
_MS = 1_000_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave the end of the command to who runs it, and the status."""
        raise BrokenPipeError


def show(tables: Iterable[Table]) -> None:
    """Print tables with empty lines in between: as wide as they are, unless on a terminal."""
    console = _Console(highlight=False, markup=False)
    for number, table in enumerate(tables):
        if number:
            console.print()
        if console.is_terminal:
            console.print(table)
        else:
            _print_plain(console, table)


def _print_plain(console: Console, table: Table) -> None:
    """As wide as it is, without blanks at the ends of lines."""
    console.width = _WIDEST
    console.width = max(1, console.measure(table).maximum)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip(' ')}\n")


def answer_tables(answer: CheckAnswer) -> Iterator[Table]:
    """What was answered to a check."""
    yield _facts(_told(answer), "bold red" if answer.status.code else "bold green")
    if answer.references:
        columns = ("Referenced attribute", "Key", "Condition")
        rows = [
            (one.name, one.key or "", " ".join(filter(None, (one.condition, one.regex))))
            for one in answer.references
        ]
        yield _table(columns, rows)
    if operations := [*_operations("request", answer.request_operations),
                      *_operations("response", answer.response_operations)]:  # fmt: skip
        yield _table(("Headers of", "Operation", "Name", "Value"), operations)
    if answer.quotas:
        yield quota_table(answer)


def quota_table(answer: CheckAnswer) -> Table:
    """What was answered of the quotas."""
    columns = ("Quota", "Asked", "Granted", "Valid", "Status")
    return _table(columns, list(_quotas(answer)))


def _told(answer: CheckAnswer) -> Iterator[_Row]:
    yield "Status", _status(answer.status)
    yield "Valid", _validity(answer)
    if answer.direct_response:
        code, body = answer.direct_response
        yield "Direct response", f"{code} {body}".rstrip()


def _quotas(answer: CheckAnswer) -> Iterator[_Row]:
    for name, quota in answer.quotas.items():
        if quota.granted is None:
            yield name, str(quota.asked), "no answer", "", ""
        else:
            valid = _duration(quota.valid_duration)
            yield name, str(quota.asked), str(quota.granted), valid, _status(quota.status)


def _operations(of: str, operations: Iterable[Operation]) -> Iterator[_Row]:
    for one in operations:
        yield of, one.operation, one.name, one.value


def summary_table(summary: Summary) -> Table:
    """What many calls came to."""
    return _facts(_summary(summary), "bold")


def _summary(summary: Summary) -> Iterator[_Row]:
    rate = f"{'answered ' if summary.failed else ''}{summary.per_second:,.0f}/s"
    yield "Calls", f"{summary.calls:,} in {summary.seconds:.3f} s, {rate}"
    for name, count in summary.statuses.items():
        yield name, f"{count:,}"
    for failure, count in summary.failures:
        yield "Failed", f"{count:,} {failure.code}"
    for name, amount in summary.granted.items():
        yield f"Granted {name}", f"{amount:,}"
    if summary.records:
        yield "Records", f"{summary.records:,}"
    if summary.latencies:
        yield "Latency", ", ".join(f"{k} {v:.2f} ms" for k, v in summary.latencies.items())


def _status(status: Status) -> str:
    return f"{status.name} {status.message}".rstrip()


def _validity(answer: CheckAnswer) -> str:
    duration, uses = _duration(answer.valid_duration), answer.valid_use_count
    if uses == 0 or answer.valid_duration <= 0:
        return f"for this request only ({duration}, {uses:,} uses)"
    return f"{duration}, {'any number of' if uses < 0 else f'{uses:,}'} uses"


def _duration(duration: Duration) -> str:
    """Cut to milliseconds, unless it is shorter."""
    rest = duration % _MS if duration >= _MS else 0
    return format_duration(Duration(duration - rest))


def _facts(rows: Iterable[_Row], style: str) -> Table:
    table = Table.grid(padding=(0, 2))
    for number, (label, value) in enumerate(rows):
        table.add_row(_plain(label), _plain(value, "" if number else style))
    return table


def _table(columns: _Row, rows: Iterable[_Row]) -> Table:
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def _plain(text: str, style: str = "") -> Text:
    """Text of a server: nothing in it is markup."""
    return Text(printable(text), style=style, overflow="fold")
