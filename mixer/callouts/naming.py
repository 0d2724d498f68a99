"""Which cluster a module means by a name.

Modules name a cluster as its configuration does, or as Istio and Higress name those that they
generate: ``outbound|PORT|SUBSET|HOST``. The rules, in order:

1. A cluster of this very name, or with this very alias.
2. ``outbound|PORT||HOST`` and ``HOST:PORT`` mean the same: the cluster with the alias
   ``HOST:PORT``; then the first that has an endpoint ``HOST:PORT``; then the one of the name or
   alias ``HOST``, by its name only if one of its endpoints has that port.
3. Higress's ``outbound|PORT||NAME.static`` and ``NAME.dns`` mean the cluster ``NAME`` as well; the
   port of the first is always 80 in Higress and is not looked at, that of the second must be one
   of an endpoint.
4. A dynamic upstream, if the host and the port are on the list of those.

Hosts are compared without regard to case. A subset is never guessed: such a name is an alias or
unknown.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from mixer.callouts.clusters import (
    Cluster,
    Discovery,
    DynamicUpstream,
    Endpoint,
)
from mixer.callouts.ports import UnknownClusterError

_OUTBOUND = re.compile(r"outbound\|([0-9]{1,5})\|([^|]*)\|([^|]+)")
_HOST_PORT = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]|]+)):([0-9]{1,5})")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_STATIC, _DNS = ".static", ".dns"
_LONGEST_HOST = 253
_LONGEST_UPSTREAM = _LONGEST_HOST + len("outbound|65535||.")
_HIGHEST_PORT = 65535
_LONGEST_SHOWN = 100
_MOST_SHOWN = 20


class Clusters:
    """The clusters of a configuration, found by what modules call them.

    Args:
        clusters: Names and aliases are unique; the first one counts where they are not.
        dynamic: What else may be reached; the first that fits counts.

    Attributes:
        dynamic: The same.
    """

    def __init__(
        self, clusters: Iterable[Cluster] = (), dynamic: Iterable[DynamicUpstream] = ()
    ) -> None:
        self._clusters = tuple(clusters)
        self.dynamic = tuple(dynamic)
        self._by_name = {one.name: one for one in reversed(self._clusters)}
        aliases = [(alias, one) for one in reversed(self._clusters) for alias in one.aliases]
        self._by_alias = dict(aliases)
        self._by_host = {alias.lower(): one for alias, one in aliases}
        self._by_endpoint = {
            Endpoint(e.host.lower(), e.port): one
            for one in reversed(self._clusters)
            for e in reversed(one.endpoints)
        }

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self._clusters)

    def find(self, name: str) -> Cluster:
        """Find the cluster that a module calls ``name``.

        Raises:
            UnknownClusterError: There is none, and no dynamic upstream may be named so.
        """
        found = self._by_name.get(name) or self._by_alias.get(name)
        if found is not None:
            return found
        endpoint = parse_upstream(name)
        if endpoint is None:
            raise UnknownClusterError(f"no cluster {_shown(name)}: {self._what_there_is()}")
        found = self._of(endpoint) or self._dynamic_cluster(endpoint)
        if found is None:
            raise UnknownClusterError(
                f"no cluster {_shown(name)}, and {endpoint} is no dynamic upstream: "
                f"{self._what_there_is()}"
            )
        return found

    def of_host(self, host: str) -> Cluster:
        """The cluster of one host that has its addresses: nothing else may be resolved.

        Args:
            host: As an endpoint of a cluster has it, or as a dynamic upstream may be named.

        Raises:
            UnknownClusterError: There is no such host.
        """
        name = host.lower().removesuffix(".")
        discovery = Discovery.STATIC if is_address(name) else Discovery.STRICT_DNS
        for endpoint, cluster in self._by_endpoint.items():
            if endpoint.host == name:
                return replace(cluster, endpoints=(endpoint,), discovery=discovery)
        if is_host(name):
            for rule in self.dynamic:
                if any(_fits(name, pattern) for pattern in rule.hosts):
                    return _made_up(Endpoint(name, rule.ports[0]), rule)
        raise UnknownClusterError(
            f"no cluster has the host {_shown(host)}, and it is no dynamic upstream: "
            f"{self._what_there_is()}"
        )

    def _of(self, endpoint: Endpoint) -> Cluster | None:
        return (
            self._by_host.get(str(endpoint))
            or self._by_endpoint.get(endpoint)
            or self._by_host.get(endpoint.host)
            or self._named(endpoint.host, endpoint.port)
            or self._of_higress(endpoint)
        )

    def _of_higress(self, endpoint: Endpoint) -> Cluster | None:
        if endpoint.host.endswith(_STATIC):
            return self._by_name.get(endpoint.host.removesuffix(_STATIC))
        if endpoint.host.endswith(_DNS):
            return self._named(endpoint.host.removesuffix(_DNS), endpoint.port)
        return None

    def _named(self, name: str, port: int) -> Cluster | None:
        found = self._by_name.get(name)
        if found is None or all(port != one.port for one in found.endpoints):
            return None
        return found

    def _dynamic_cluster(self, endpoint: Endpoint) -> Cluster | None:
        for rule in self.dynamic:
            if endpoint.port in rule.ports and any(_fits(endpoint.host, p) for p in rule.hosts):
                return _made_up(endpoint, rule)
        return None

    def _what_there_is(self) -> str:
        names = [one.name for one in self._clusters]
        if not names:
            return "none is configured"
        more = len(names) - _MOST_SHOWN
        shown = ", ".join(names[:_MOST_SHOWN])
        return f"there are {shown}" + (f" and {more} more" if more > 0 else "")


def parse_upstream(name: str) -> Endpoint | None:
    """Read ``outbound|PORT||HOST``, ``HOST:PORT`` or ``[IPv6]:PORT``; None for anything else.

    The host is in lower case, without a dot at its end.
    """
    if len(name) > _LONGEST_UPSTREAM:
        return None
    if match := _OUTBOUND.fullmatch(name):
        port, subset, host = match.groups()
    elif match := _HOST_PORT.fullmatch(name):
        host, port, subset = match[1] or match[2], match[3], ""
    else:
        return None
    if subset or not 1 <= int(port) <= _HIGHEST_PORT:
        return None
    host = host.lower().removesuffix(".")
    if is_address(host):
        return Endpoint(str(ipaddress.ip_address(host)), int(port))
    return Endpoint(host, int(port)) if is_host(host) else None


def is_host(text: str) -> bool:
    """Whether it is a name (``_`` is allowed) in lower case, or an address without brackets."""
    return is_address(text) or (len(text) <= _LONGEST_HOST and bool(_HOST.fullmatch(text)))


@lru_cache(maxsize=1024)
def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, without a zone."""
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _fits(host: str, pattern: str) -> bool:
    if host.endswith((_STATIC, _DNS)):
        return False  # names of Higress's own; DNS knows none of them
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    return host == pattern


def _made_up(endpoint: Endpoint, rule: DynamicUpstream) -> Cluster:
    listed = is_address(endpoint.host) and endpoint.host in rule.hosts
    own = (ipaddress.ip_network(endpoint.host),) if listed else ()
    return Cluster(
        name=str(endpoint),
        endpoints=(endpoint,),
        discovery=Discovery.STATIC if is_address(endpoint.host) else Discovery.STRICT_DNS,
        protocol=rule.protocol,
        tls=rule.tls,
        connect_timeout=rule.connect_timeout,
        limits=rule.limits,
        public_only=True,
        networks=rule.networks + own,
    )


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]!r}..."
