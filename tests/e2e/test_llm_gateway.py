"""The LLM gateway of deploy/: Envoy, the service with auth and billing, and what comes of it."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mixer.study.envoy import EnvoyProcess
from tests.adapters import llm
from tests.differential.exchange import Message
from tests.e2e import deployed
from tests.e2e.pieces import Came, exchange, upstream
from tests.e2e.stack import START_TIMEOUT_S, Services

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

PATIENCE_S = 30.0
KEY = ("x-api-key", "demo-key")


def response(name: str) -> Message:
    """In pieces, as an LLM sends them."""
    kind, body, _ = llm.CASES[name]
    pieces = tuple(body[at : at + 200] for at in range(0, min(len(body), 800), 200))
    rest = (body[800:],) if body[800:] else ()
    return Message((*pieces, *rest), headers=(("content-type", kind),))


ANSWERS = {
    "/v1/chat/completions": response("openai-chat-json"),
    "/v1/responses": response("openai-responses-sse"),
    "/v1/messages": response("anthropic-messages-sse"),
    "/v1/refused": Message((b"{}",), status=429),
}


@contextlib.asynccontextmanager
async def gateway(services: Services, ledger: Path) -> AsyncIterator[EnvoyProcess]:
    service = services.service(
        "llm", deployed.adapters("llm"), ledger={"sqlite": {"path": str(ledger)}}
    )
    async with upstream(ANSWERS) as answering, service:
        config = deployed.envoy_configuration(
            "llm_gateway", mixer=services.address("llm"), upstream=answering.address
        )
        async with EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S) as envoy:
            yield envoy


async def usage(ledger: Path, records: int) -> list[dict[str, Any]]:
    """What `mixer usage` exports once there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await exported(ledger)
            if len(found) >= records:
                return found
            await asyncio.sleep(0.1)


async def exported(ledger: Path) -> list[dict[str, Any]]:
    command = ["usage", "export", "--format", "jsonl", "--sqlite", str(ledger)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mixer", *command, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


async def ask(envoy: EnvoyProcess, target: str, *headers: tuple[str, str]) -> Came:
    accepts = ("accept-encoding", "gzip")
    return await exchange(envoy.address("ingress"), target, Message(headers=(*headers, accepts)))


async def test_tokens_are_in_the_ledger(services: Services, tmp_path: Path) -> None:
    """Of each response that was none of an error, by consumer and path; the rest is not billed."""
    ledger = tmp_path / "usage.db"
    async with gateway(services, ledger) as envoy:
        for target, expected in ANSWERS.items():
            came = await ask(envoy, target, KEY, ("x-consumer", "mallory"))
            assert (came.start, came.body) == (expected.status, b"".join(expected.body))
        assert (await ask(envoy, "/v1/messages")).start == 401
        found = await usage(ledger, len(ANSWERS) - 1)
    assert {one["subject"] for one in found} == {"alice"}
    told = {one["labels"]["path"]: one["quantities"] for one in found}
    assert told == {
        "/v1/chat/completions": {"calls": 1, "input_tokens": 19, "output_tokens": 10},
        "/v1/responses": {"calls": 1, "input_tokens": 36, "output_tokens": 87},
        "/v1/messages": {"calls": 1, "input_tokens": 25, "output_tokens": 15},
    }
