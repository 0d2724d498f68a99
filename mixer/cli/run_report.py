"""A run as text for people."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from mixer.attributes import HeaderChange
from mixer.proxywasm import HttpMessage, LogLevel, MapType
from mixer.runner import RunReport
from mixer.runner.report import path_text, property_text, text

_COLOURS = {"allow": "green", "deny": "yellow"}
_LEVEL_COLOURS = {LogLevel.WARN: "yellow", LogLevel.ERROR: "red", LogLevel.CRITICAL: "red"}
_UNKNOWN_COLOUR = "red"


def render(report: RunReport) -> Text:
    """Lay a report out; text from the module is never taken as markup."""
    lines = Text()
    lines.append(f"{report.verdict}\n", style=f"bold {_COLOURS.get(report.verdict, 'red')}")
    sections = (
        ("waits", [report.waits_for] if report.waits_for else []),
        ("response", _response(report)),
        ("request headers changed", _changes(report.header_changes)),
        ("request body changed", _body(report.body)),
        ("request trailers changed", _changes(report.trailer_changes)),
        (
            "response headers changed",
            _changes(report.sent.headers.changes() if report.sent else ()),
        ),
        ("response body changed", _body(_sent_body(report.sent))),
        ("response trailers changed", _changes(_trailer_changes(report.sent))),
        ("properties set", (f"{k} = {text(v)}" for k, v in report.properties_set.items())),
        ("callouts", _callouts(report)),
        ("trap", report.trap.splitlines()),
        ("read", _reads(report)),
        ("cost", _cost(report)),
    )
    for title, content in sections[:-2]:
        _section(lines, title, content)
    _logs(lines, report)
    for title, content in sections[-2:]:
        _section(lines, title, content)
    lines.rstrip()
    return lines


def _section(lines: Text, title: str, content: Iterable[str]) -> None:
    rows = list(content)
    if rows:
        lines.append(f"{title}\n", style="bold")
        lines.append("".join(f"  {row}\n" for row in rows))


def _logs(lines: Text, report: RunReport) -> None:
    if report.logs:
        lines.append("logs\n", style="bold")
    for level, message in report.logs:
        lines.append(f"  {level.name.lower():8} {message}\n", style=_LEVEL_COLOURS.get(level, ""))


def _callouts(report: RunReport) -> Iterator[str]:
    for one in report.callouts:
        time = "" if one.seconds is None else f"  [{one.seconds * 1000:.2f} ms]"
        yield f"{one.kind} {one.target}: {one.call} = {one.result}{time}"


def _response(report: RunReport) -> Iterator[str]:
    if report.response is None:
        return
    yield f"{report.response.status}  {report.response.details}".rstrip()
    yield from (f"{text(n)}: {text(v)}" for n, v in report.response.headers)
    if report.response.body:
        yield from ("", *_body(report.response.body))


def _body(content: bytes | None) -> list[str]:
    return text(content or b"").splitlines()


def _sent_body(message: HttpMessage | None) -> bytes | None:
    return message.body if message and message.body_changed else None


def _trailer_changes(message: HttpMessage | None) -> tuple[HeaderChange, ...]:
    return message.trailers.changes() if message and message.trailers is not None else ()


def _changes(changes: Iterable[HeaderChange]) -> Iterator[str]:
    for change in changes:
        if not change.values:
            yield f"- {text(change.name)}"
        yield from (f"+ {text(change.name)}: {text(value)}" for value in change.values)


def _reads(report: RunReport) -> Iterator[str]:
    reads = report.reads
    for (kind, name), value in reads.headers.items():
        yield f"header   {_of(kind)}{text(name)} = {_shown(value)}"
    yield from (f"headers  all of {m.name.lower()}" for m in sorted(reads.whole_maps))
    for path, value in reads.properties.items():
        shown = "(absent)" if value is None else property_text(path, value)
        yield f"property {path_text(path)} = {shown}"
    yield from (f"buffer   {b.name.lower()}" for b in sorted(reads.buffers))
    if reads.clock:
        yield "clock"
    if reads.random:
        yield "randomness"
    if reads.volatile:
        yield "shared state"


def _of(kind: MapType) -> str:
    return "" if kind is MapType.HTTP_REQUEST_HEADERS else f"{kind.name.lower()} "


def _shown(value: bytes | None) -> str:
    return "(absent)" if value is None else text(value)


def _cost(report: RunReport) -> Iterator[str]:
    yield f"start   {report.start_seconds * 1000:.2f} ms"
    yield f"request {report.request_seconds * 1_000_000:.0f} us"
    yield f"memory  {report.memory_bytes / (1 << 20):.2f} MiB"
