"""Whether addresses can be listened on, asked of the system itself before anything is loaded.

gRPC says only that it failed, and takes over a Unix socket that another process serves.
"""

import os
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

from mixer.config import Listener

UNIX = "unix:"


class ListenError(Exception):
    """An address cannot be listened on."""


def check_listeners(listeners: Iterable[Listener]) -> None:
    """Bind each address for a moment.

    Raises:
        ListenError: One cannot be listened on; the message has the system's reason.
    """
    for listener in listeners:
        check_free(f"listener {listener.name}", listener.address)


def check_free(what: str, address: str) -> None:
    """Bind an address for a moment.

    Raises:
        ListenError: It cannot be listened on; the message begins with what it is for.
    """
    try:
        _check(address)
    except OSError as error:
        raise listen_error(what, address, error) from error


def listen_error(what: str, address: str, error: OSError) -> ListenError:
    """Say what the system refused."""
    return ListenError(f"{what}: {address}: {error.strerror or error}")


def _check(address: str) -> None:
    if address.startswith(UNIX):
        _check_unix(Path(address.removeprefix(UNIX)))
        return
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    family, kind, protocol, _, place = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(place)


def _check_unix(path: Path) -> None:
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(0, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(0, "it is in use by another process")
    if not path.parent.is_dir():
        raise FileNotFoundError(0, f"there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(0, f"not permitted to write to {path.parent}")
