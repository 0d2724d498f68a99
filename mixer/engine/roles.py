"""What the adapters of a configuration are for."""

from collections.abc import Iterable
from typing import NamedTuple

from mixer.engine.selection import Slot


class Roles(NamedTuple):
    """Those that proxies can reach; services run by themselves.

    Attributes:
        filters: For HTTP requests.
        network: For TCP connections.
        told: Of what is over: the filters, and those that do nothing else.
    """

    filters: list[Slot]
    network: list[Slot]
    told: list[Slot]


def roles(slots: Iterable[Slot]) -> Roles:
    """Divide adapters by what their plugins say."""
    found = Roles([], [], [])
    for slot in slots:
        plugin = slot.adapter.plugin
        if plugin.is_service:
            continue
        if plugin.is_network and not plugin.is_access_logger:
            found.network.append(slot)
            continue
        found.told.append(slot)
        if not plugin.is_access_logger:
            found.filters.append(slot)
    return found
