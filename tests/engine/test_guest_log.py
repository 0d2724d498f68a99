"""What modules log, bounded."""

import logging

import pytest

from mixer.engine.guest_log import BURST, LINES_PER_SECOND, GuestLog
from mixer.proxywasm import LogLevel
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter


class Clock:
    """Seconds that pass when a test says so."""

    now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged for adapters."""
    caplog.set_level(logging.DEBUG, logger="mixer.adapter")
    return caplog


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (LogLevel.TRACE, logging.DEBUG),
        (LogLevel.DEBUG, logging.DEBUG),
        (LogLevel.INFO, logging.INFO),
        (LogLevel.WARN, logging.WARNING),
        (LogLevel.ERROR, logging.ERROR),
        (LogLevel.CRITICAL, logging.CRITICAL),
    ],
)
def test_levels(lines: pytest.LogCaptureFixture, level: LogLevel, expected: int) -> None:
    """A message keeps its level, under the logger of its adapter."""
    GuestLog("ns/one")(level, "text")
    assert [(r.name, r.levelno, r.getMessage()) for r in lines.records] == [
        ("mixer.adapter.ns/one", expected, "text")
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("plain", "plain"),
        ("ümläut 漢", "ümläut 漢"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
        ("nul\0", r"nul\x00"),
        ("%s %d", "%s %d"),
    ],
)
def test_message_is_one_harmless_line(
    lines: pytest.LogCaptureFixture, message: str, expected: str
) -> None:
    """What could forge a line or drive a terminal is escaped, and nothing is formatted."""
    GuestLog("one")(LogLevel.INFO, message)
    assert lines.records[-1].getMessage() == expected


def test_flood_is_cut_and_counted(lines: pytest.LogCaptureFixture) -> None:
    """Past the burst messages are left out, and how many is told when there is room again."""
    clock = Clock()
    log = GuestLog("one", clock)
    for index in range(BURST + 50):
        log(LogLevel.INFO, f"line {index}")
    assert [r.getMessage() for r in lines.records] == [f"line {i}" for i in range(BURST)]
    lines.clear()
    clock.now += 0.5 / LINES_PER_SECOND
    log(LogLevel.INFO, "too early")
    assert lines.records == []
    clock.now += 1 / LINES_PER_SECOND
    log(LogLevel.INFO, "again")
    log(LogLevel.INFO, "too many again")
    assert [r.getMessage().partition(":")[0] for r in lines.records] == [
        "51 messages left out",
        "again",
    ]


def test_tokens_are_bounded(lines: pytest.LogCaptureFixture) -> None:
    """A long silence does not save up for a flood larger than the burst."""
    clock = Clock()
    log = GuestLog("one", clock)
    clock.now += 3600
    for _ in range(2 * BURST):
        log(LogLevel.INFO, "text")
    assert len(lines.records) == BURST


def test_adapters_flood_apart(make_engine: MakeEngine, plugins: Plugins,
                              lines: pytest.LogCaptureFixture) -> None:  # fmt: skip
    """One adapter that floods the log takes nothing from another one."""
    engine = make_engine(
        plugins.plugin("a", adapter(*[do.log("noise")] * (BURST + 100))),
        plugins.plugin("b", adapter(do.log("important", 4))),
    )
    engine.decide(request())
    said = [(r.name, r.getMessage()) for r in lines.records if r.name.startswith("mixer.adapter.")]
    assert said.count(("mixer.adapter.b", "important")) == 1
    noise = said.count(("mixer.adapter.a", "noise"))
    assert BURST <= noise <= BURST + LINES_PER_SECOND
