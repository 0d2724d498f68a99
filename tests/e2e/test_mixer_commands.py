"""``mixer check``, ``mixer quota`` and ``mixer report`` against ``mixer serve``."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.guests import Guests
from tests.e2e.stack import Services, adapter
from tests.support import adapters as do
from tests.support.adapters import adapter as module
from tests.support.compile import wasm

pytestmark = pytest.mark.asyncio(loop_scope="module")

_POLICY = module(
    do.add("x-tier", "gold"),
    do.when("x-deny", do.set_property("mixer.deny.code", "8"), do.deny(429, "later", "too_many")),
)
_QUOTA = module(
    do.set_property("mixer.quota.granted", "2"), do.set_property("mixer.valid_duration", "1m30s")
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(services: Services, guests: Guests) -> AsyncIterator[str]:
    """Where a service with a policy and a quota listens."""
    adapters = [
        adapter(
            "policy",
            guests.file("policy", wasm(_POLICY)),
            annotations={"valid-duration": "5s", "valid-use-count": "7"},
        ),
        adapter("quota", guests.file("quota", wasm(_QUOTA)), annotations={"quotas": "two"}),
    ]
    async with services.service("commands", adapters) as service:
        yield service.address


def _run(command: str, address: str, *arguments: str) -> "tuple[int, Any]":
    program = [sys.executable, "-m", "mixer", command, "-m", address, "--json", *arguments]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


async def test_an_allowed_check(address: str) -> None:
    """The adapters' mutations and validity arrive as header operations and validity."""
    status, document = _run("check", address, "-s", "request.path=/")
    answer = document["answer"]
    assert (status, answer["status"]["name"]) == (0, "OK")
    operations = answer["route_directive"]["request_header_operations"]
    assert [(one["name"], one["value"]) for one in operations] == [("x-tier", "gold")]


async def test_a_denied_check(address: str) -> None:
    """Code, message and local response of the adapter arrive, with what they follow from."""
    headers = ("--stringmap_attributes", "request.headers=x-deny:1")
    status, document = _run("check", address, *headers)
    answer = document["answer"]
    told = answer["status"]
    assert (status, told["code"], told["name"]) == (1, 8, "RESOURCE_EXHAUSTED")
    assert told["message"].startswith("policy:")
    assert answer["route_directive"]["direct_response"] == {"code": 429, "body": "later"}
    assert (answer["valid_duration"], answer["valid_use_count"]) == ("5s", 7)
    read = {"name": "request.headers", "map_key": "x-deny", "condition": "EXACT"}
    assert read in answer["referenced_attributes"]


async def test_quotas(address: str) -> None:
    """A quota is granted by its adapter; one that no adapter serves says so."""
    status, document = _run("quota", address, "-q", "two=5")
    quota = document["answer"]["quotas"]["two"]
    assert (status, quota["asked"], quota["granted"]) == (0, 5, 2)
    assert quota["valid_duration"] == "1m30s"
    status, document = _run("quota", address, "-q", "two=1,other=1")
    assert status == 1
    assert document["answer"]["quotas"]["other"]["status"]["name"] == "NOT_FOUND"


async def test_many_calls(address: str) -> None:
    """Calls of several workers are all answered, with and without the global dictionary."""
    for more in ((), ("--global-dictionary",)):
        status, document = _run(
            "check", address, "-s", "source.name=x", "-r", "50", "-c", "4", *more
        )
        assert (status, document["summary"]["statuses"]) == (0, {"OK": 200})


async def test_reports(address: str) -> None:
    """Batches of records are taken."""
    status, document = _run(
        "report", address, "-i", "response.code=200", "-r", "250", "--report_batch_size", "100"
    )
    assert (status, document["summary"]["calls"], document["summary"]["records"]) == (0, 3, 250)
