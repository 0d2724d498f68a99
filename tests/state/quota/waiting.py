"""Waiting for what comes of a take."""

import asyncio

from mixer.state.quota import Answer, Quotas, Take

TIMEOUT_S = 30.0
MAP_SIZE = 64 << 20


async def answered(quotas: Quotas, take: Take, vm_id: str = "") -> Answer:
    """What comes of a take, now or later."""
    found = quotas.take(vm_id, take)
    if isinstance(found, Answer):
        return found
    told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    found.wait(lambda answer: None if told.done() else told.set_result(answer))
    async with asyncio.timeout(TIMEOUT_S):
        return await told
