"""Who calls, as far as a connection tells."""

from urllib.parse import unquote


def caller_of(peer: str) -> str:
    """The address of a caller, without the port, which is another one for each connection.

    Args:
        peer: As gRPC has it: ``ipv4:127.0.0.1:5000``, ``ipv6:%5B::1%5D:5000``, ``unix:``.
    """
    kind, _, address = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return unquote(address).rpartition(":")[0].strip("[]")
