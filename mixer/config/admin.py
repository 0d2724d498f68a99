"""``spec.admin`` of the ``Mixer`` document: for whoever runs the service."""

from typing import Annotated

from pydantic import AfterValidator, Field

from mixer.config.address import check_address
from mixer.config.model import Model


def _of_this_machine(address: str) -> str:
    host = address.rpartition(":")[0]
    if address.startswith("unix:") or host in ("127.0.0.1", "localhost", "[::1]"):
        return address
    raise ValueError(
        "must be of this machine: unix:/path, 127.0.0.1:port, localhost:port or [::1]:port"
    )


class Admin(Model):
    """What `mixer explain` asks.

    Attributes:
        address: As of a listener, of this machine alone, since whoever reaches it can have requests
            decided and see what others asked. None has none.
        recent: Decisions that are remembered to be explained by their id, 0 to 100000.
    """

    address: (
        Annotated[str, AfterValidator(check_address), AfterValidator(_of_this_machine)] | None
    ) = None
    recent: Annotated[int, Field(ge=0, le=100_000)] = 1000
