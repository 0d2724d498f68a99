"""Shared data, in every implementation."""

import pytest

from mixer.state import DataUsage, Entry, SetResult, SharedData, StateLimits
from tests.state.conftest import MakeData, wait_until

KEY = b"key"


def cas_of(data: SharedData, key: bytes = KEY, vm_id: str = "vm") -> int:
    found = data.get(vm_id, key)
    assert found is not None
    return found.cas


def test_missing_key(data: SharedData) -> None:
    """A key that nobody set is not there."""
    assert data.get("vm", KEY) is None


@pytest.mark.parametrize("value", [b"", b"value", bytes(range(256)) * 1024])
@pytest.mark.parametrize("key", [b"", KEY, b"\0\xff"])
def test_what_was_set_is_there(data: SharedData, key: bytes, value: bytes) -> None:
    """Any bytes are a key, and any are a value: the empty ones too."""
    assert data.set("vm", key, value) is SetResult.OK
    found = data.get("vm", key)
    assert isinstance(found, Entry)
    assert found.value == value
    assert 0 < found.cas < 2**32


def test_each_set_has_another_number(data: SharedData) -> None:
    """The number to compare by changes with each set, be the value the same."""
    seen = set()
    for _ in range(5):
        assert data.set("vm", KEY, b"same") is SetResult.OK
        seen.add(cas_of(data))
    assert len(seen) == 5
    assert cas_of(data) == cas_of(data)


def test_set_if_nobody_did_since(data: SharedData) -> None:
    """With the number of the last get a set succeeds once."""
    data.set("vm", KEY, b"1")
    seen = cas_of(data)
    assert data.set("vm", KEY, b"2", seen) is SetResult.OK
    assert data.set("vm", KEY, b"3", seen) is SetResult.CAS_MISMATCH
    found = data.get("vm", KEY)
    assert found is not None
    assert found.value == b"2"


def test_mismatch_changes_nothing(data: SharedData) -> None:
    """After a mismatch the value and its number are what they were."""
    data.set("vm", KEY, b"1")
    before = data.get("vm", KEY)
    assert data.set("vm", KEY, b"2", cas_of(data) + 1) is SetResult.CAS_MISMATCH
    assert data.get("vm", KEY) == before


def test_missing_key_can_be_set_with_any_number(data: SharedData) -> None:
    """There is nothing to compare with: the set succeeds."""
    assert data.set("vm", KEY, b"1", 5) is SetResult.OK
    assert data.get("vm", KEY) is not None


def test_vm_ids_are_apart(data: SharedData) -> None:
    """The same key of two vm_ids is two keys."""
    data.set("a", KEY, b"of a")
    assert data.get("b", KEY) is None
    data.set("b", KEY, b"of b")
    found = data.get("a", KEY)
    assert found is not None
    assert found.value == b"of a"


def test_number_of_keys_is_bounded(make_data: MakeData) -> None:
    """One key too many is refused and counted; those that are there can still be set."""
    data = make_data(StateLimits(max_keys=2))
    assert [data.set("vm", k, b"v") for k in (b"a", b"b")] == [SetResult.OK] * 2
    assert data.set("vm", b"c", b"v") is SetResult.FULL
    assert data.get("vm", b"c") is None
    assert data.set("vm", b"a", b"w") is SetResult.OK
    assert data.set("other", b"c", b"v") is SetResult.OK
    assert data.usage() == {"vm": DataUsage(2, 4, 1), "other": DataUsage(1, 2, 0)}


def test_bytes_are_bounded(make_data: MakeData) -> None:
    """Keys and values count; what would exceed the bound changes nothing."""
    data = make_data(StateLimits(max_data_bytes=10))
    assert data.set("vm", b"abc", b"1234567") is SetResult.OK
    assert data.set("vm", b"", b"1") is SetResult.FULL
    before = data.get("vm", b"abc")
    assert data.set("vm", b"abc", b"12345678") is SetResult.FULL
    assert data.get("vm", b"abc") == before
    assert data.set("vm", b"abc", b"1") is SetResult.OK
    assert data.set("vm", b"d", b"12345") is SetResult.OK
    assert data.usage() == {"vm": DataUsage(2, 10, 2)}


def test_mismatch_is_told_before_the_bound(make_data: MakeData) -> None:
    """A set that would not have happened anyway does not count as refused."""
    data = make_data(StateLimits(max_data_bytes=4))
    data.set("vm", KEY, b"1")
    assert data.set("vm", KEY, b"12", cas_of(data) + 1) is SetResult.CAS_MISMATCH
    assert data.usage() == {"vm": DataUsage(1, 4, 0)}


def test_reading_makes_nothing(data: SharedData) -> None:
    """Only what was set has a use."""
    data.get("vm", KEY)
    assert data.usage() == {}


def test_keys_stay_by_default(data: SharedData) -> None:
    """Without a time to live nothing expires."""
    data.set("vm", KEY, b"v")
    assert data.usage()["vm"].expired == 0
    assert data.get("vm", KEY) is not None


def test_a_key_lives_for_its_time(make_data: MakeData) -> None:
    """A key is not there any more once its time is over, and can be set as a new one."""
    data = make_data(StateLimits(ttl=0.02))
    data.set("vm", KEY, b"old")
    wait_until(lambda: data.get("vm", KEY) is None)
    assert data.set("vm", KEY, b"new", 77) is SetResult.OK
    assert data.usage() == {"vm": DataUsage(1, 6, 0, 1)}


def test_a_set_begins_the_time_anew(make_data: MakeData) -> None:
    """A key that is set again lives from then on; the others go."""
    data = make_data(StateLimits(ttl=0.5))
    for key in (b"again", b"once"):
        data.set("vm", key, b"1")

    def set_again() -> bool:
        data.set("vm", b"again", b"2")
        return data.get("vm", b"once") is None

    wait_until(set_again)
    assert set_again()
    found = data.get("vm", b"again")
    assert found is not None
    assert found.value == b"2"
    assert data.usage() == {"vm": DataUsage(1, 6, 0, 1)}


def test_what_expired_makes_room(make_data: MakeData) -> None:
    """Keys that expired stand in nobody's way, however many there are."""
    data = make_data(StateLimits(ttl=0.05, max_keys=200, max_data_bytes=4000))
    numbers = range(200)
    for number in numbers:
        data.set("vm", b"%03d" % number, bytes(10))
    wait_until(lambda: all(data.get("vm", b"%03d" % n) is None for n in numbers))
    assert data.set("vm", b"large", bytes(3990)) is SetResult.OK
    usage = data.usage()["vm"]
    assert usage.size <= 4000
    assert usage.expired >= 199


def test_one_set_clears_a_bounded_number_away(make_data: MakeData) -> None:
    """No set pays for everything that expired."""
    data = make_data(StateLimits(ttl=0.3))
    for number in range(100):
        data.set("vm", b"%03d" % number, b"")
    wait_until(lambda: data.get("vm", b"099") is None)
    before = data.usage()["vm"]
    data.set("vm", KEY, b"")
    assert data.usage()["vm"].expired - before.expired == min(64, before.keys)
