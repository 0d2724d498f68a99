"""Settings are checked when they are made."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from mixer.client import (
    CheckCacheSettings,
    ClientSettings,
    NetworkFailPolicy,
    QuotaCacheSettings,
    ReportEncoding,
    ReportSettings,
    RetrySettings,
)

_GROUPS = [CheckCacheSettings, QuotaCacheSettings, ReportSettings, RetrySettings]
_NUMBERS = [
    (group, field.name)
    for group in _GROUPS
    for field in fields(group)
    if field.type in (int, float, "int", "float")
]


@pytest.mark.parametrize(("group", "name"), _NUMBERS)
@pytest.mark.parametrize("value", [-1, 1 << 40, float("nan"), float("inf"), True, "1", None])
def test_numbers_have_bounds(group: Any, name: str, value: Any) -> None:
    """The error names the field and its bounds."""
    with pytest.raises(ValueError, match=rf"{group.__name__}\.{name} must be .* from .* to "):
        group(**{name: value})


@pytest.mark.parametrize(("group", "name"), _NUMBERS)
def test_the_defaults_are_within_their_bounds(group: Any, name: str) -> None:
    """And can be given as they are."""
    value = getattr(group(), name)
    assert getattr(group(**{name: value}), name) == value


def test_bounds_follow_each_other() -> None:
    """The longest wait is no less than the first; what may wait is no less than a batch."""
    with pytest.raises(ValueError, match=r"RetrySettings\.most must be seconds from 2\.0 to 600"):
        RetrySettings(base=2.0)
    with pytest.raises(ValueError, match=r"ReportSettings\.max_pending .* from 200 to"):
        ReportSettings(entries=200, max_pending=199)


@pytest.mark.parametrize(
    "address",
    ["", "a\nb:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999",
     ":9091", "::1:9091", "http://127.0.0.1:9091", "a b:1", "dns:///a", "unix:", "a:+1", "a:1 "],
)  # fmt: skip
def test_an_address_has_a_port(address: str) -> None:
    """The error says what to write; gRPC would ask another port than the one that was meant."""
    with pytest.raises(ValueError, match=r"ClientSettings\.address: write HOST:PORT with 0 < PORT"):
        ClientSettings(address=address)


@pytest.mark.parametrize("address", [None, 9091])
def test_an_address_is_text(address: Any) -> None:
    """Nothing else is taken for one."""
    with pytest.raises(TypeError, match=r"ClientSettings\.address must be text"):
        ClientSettings(address=address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1", "mixer.istio-system:65535", "[::1]:9091", "[fe80::1%eth0]:9091",
     "dns:///mixer:9091", "dns://127.0.0.1:53/mixer:9091", "unix:/run/m.sock", "unix:m.sock"],
)  # fmt: skip
def test_addresses_of_grpc(address: str) -> None:
    """Hosts by name or number, and sockets."""
    assert ClientSettings(address=address).address == address


def test_choices_are_taken_by_name() -> None:
    """As a configuration has them; no others."""
    assert ClientSettings(address="x:1", network_fail_policy="FAIL_OPEN").network_fail_policy is (
        NetworkFailPolicy.FAIL_OPEN
    )
    assert ReportSettings(encoding="DELTA").encoding is ReportEncoding.DELTA
    with pytest.raises(ValueError, match="'OPEN' is not a valid NetworkFailPolicy"):
        ClientSettings(address="x:1", network_fail_policy="OPEN")


def test_switches_are_switches() -> None:
    """No text and no number is taken for one."""
    for group, name in [
        (CheckCacheSettings, "enabled"),
        (QuotaCacheSettings, "enabled"),
        (ReportSettings, "batching"),
    ]:
        with pytest.raises(ValueError, match=rf"{group.__name__}\.{name} must be True or False"):
            group(**{name: "no"})


def test_settings_do_not_change() -> None:
    """They are frozen."""
    with pytest.raises(FrozenInstanceError):
        ClientSettings(address="x:1").timeout = 1.0
