"""HTTP callouts to one cluster: its addresses in turn, its pools, its limits."""

import asyncio
import ssl

from mixer.callouts.addresses import Address, Addresses
from mixer.callouts.callout import Done, HttpCallout
from mixer.callouts.clusters import Cluster
from mixer.callouts.dialing import Dialer
from mixer.callouts.http_failures import NO_HEALTHY_UPSTREAM, Reset, local_reply
from mixer.callouts.http_request import RequestError, make_request
from mixer.callouts.pool import Budget, Pool
from mixer.callouts.ports import Cancel, HttpCall, NotSentError


class ClusterClient:
    """Sends callouts to one cluster.

    Args:
        cluster: Which one.
        addresses: Knows DNS.
        context: For TLS; None for plaintext.
    """

    def __init__(
        self, cluster: Cluster, addresses: Addresses, context: ssl.SSLContext | None
    ) -> None:
        self._cluster, self._addresses = cluster, addresses
        self._dialer = Dialer(cluster, addresses, context=context)
        self._budget = Budget(cluster.limits)
        self._pools: dict[Address, Pool] = {}
        self._turn = 0
        self._unplaced: dict[HttpCallout, None] = {}
        self._looking_up: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        """Whether it has neither connections nor callouts."""
        return not self._unplaced and all(pool.empty for pool in self._pools.values())

    def http_call(self, call: HttpCall, done: Done) -> Cancel:
        """See `mixer.callouts.ports.Callouts`."""
        limits = self._cluster.limits
        try:
            request = make_request(
                call,
                secure=self._cluster.tls is not None,
                max_response_bytes=limits.max_response_bytes,
            )
        except RequestError as error:
            reply = local_reply(503, str(error).encode())
            return asyncio.get_running_loop().call_soon(done, reply).cancel
        callout = HttpCallout(request, done)
        self._place_or_wait(callout)
        callout.accepted()
        return callout.cancel

    async def close(self) -> None:
        """Close all connections; callouts get no answer."""
        if self._looking_up is not None:
            self._looking_up.cancel()
        for callout in list(self._unplaced):
            self._take_out(callout)
            callout.end(None)
        for pool in list(self._pools.values()):
            await pool.close()

    def _place_or_wait(self, callout: HttpCallout) -> None:
        addresses = self._addresses.known(self._cluster)
        if addresses is not None:
            self._place(callout, addresses)
            return
        self._budget.take_pending()
        self._unplaced[callout] = None
        callout.give_up = lambda: self._take_out(callout)
        if self._looking_up is None:
            self._looking_up = asyncio.create_task(self._look_up())

    def _place(self, callout: HttpCallout, addresses: tuple[Address, ...]) -> None:
        if not addresses:
            raise NotSentError(f"cluster {self._cluster.name}: no healthy upstream")
        self._turn = (self._turn + 1) % len(addresses)
        address = addresses[self._turn - 1]
        if address not in self._pools:
            self._forget_empty_pools()
            self._pools[address] = Pool(
                self._dialer, address, self._cluster.protocol, self._budget, self._wake
            )
        self._pools[address].submit(callout)

    async def _look_up(self) -> None:
        addresses: tuple[Address, ...] = ()
        try:
            async with asyncio.timeout(self._cluster.connect_timeout):
                addresses = await self._addresses.of(self._cluster)
        except TimeoutError:
            pass  # as if there were none
        self._looking_up = None
        for callout in list(self._unplaced):
            self._take_out(callout)
            if not addresses:
                callout.end(NO_HEALTHY_UPSTREAM)
                continue
            try:
                self._place(callout, addresses)
            except NotSentError:
                callout.end(Reset.OVERFLOW)

    def _take_out(self, callout: HttpCallout) -> bool:
        del self._unplaced[callout]
        self._budget.pending -= 1
        return False

    def _wake(self) -> None:
        """Let pools that wait for one of the cluster's connections open it."""
        for pool in self._pools.values():
            pool.dial_if_needed()

    def _forget_empty_pools(self) -> None:
        """Drop what belongs to addresses that DNS told once."""
        self._pools = {address: pool for address, pool in self._pools.items() if not pool.empty}
