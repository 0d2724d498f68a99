"""`mixer explain` while the service stops."""

import asyncio

import pytest

from tests.e2e.guests import Guests
from tests.e2e.stack import Services
from tests.e2e.test_explain import explain
from tests.e2e.test_waiting import Auth, clusters, documents


@pytest.mark.asyncio
async def test_who_waits_is_told(services: Services, guests: Guests) -> None:
    """One line says that the service stops, where the decision waits for another service."""
    admin = f"unix:{services.folder}/stops-admin.sock"
    async with Auth().running() as auth:
        about = {"address": admin}
        async with services.service(
            "stops", documents(guests), clusters=clusters(auth), admin=about
        ):
            asking = asyncio.create_task(explain(services, "/", "-a", admin))
            await auth.until_asked(1)
        assert await asking == (3, "", f"mixer explain: {admin}: the service is stopping\n")
