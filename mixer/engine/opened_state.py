"""The state of one engine, opened together and given back together."""

from contextlib import ExitStack
from dataclasses import dataclass

from mixer.callouts.ports import Callouts
from mixer.config import MixerSpec
from mixer.engine.ledger import open_ledger
from mixer.engine.quota_store import open_quotas
from mixer.engine.sharing import open_stores
from mixer.proxywasm import Scheduler, Services
from mixer.state import Stores
from mixer.state.ledger import GroupCommit, LedgerQueues
from mixer.state.quota import Quotas


@dataclass(frozen=True, slots=True)
class OpenedState:
    """What adapters share, and what they record.

    Attributes:
        stores: Shared data and queues.
        quotas: The counters of quotas.
        commits: Stores what is recorded in the ledger; None where there is none.
    """

    stores: Stores
    quotas: Quotas
    commits: GroupCommit | None

    def services(self, scheduler: Scheduler, callouts: Callouts) -> Services:
        """Make what every adapter of the engine is given."""
        queues, commits = self.stores.queues, self.commits
        return Services(
            scheduler=scheduler,
            callouts=callouts,
            shared_data=self.stores.data,
            shared_queues=queues if commits is None else LedgerQueues(queues, commits),
            quotas=self.quotas,
            commits=commits,
        )

    def close(self) -> None:
        """Give all of it back; what waits to be recorded is stored before."""
        self.quotas.close()
        if self.commits is not None:
            self.commits.close()
        self.stores.close()


def open_state(spec: MixerSpec, scheduler: Scheduler) -> OpenedState:
    """Open what is configured: all of it, or none.

    Raises:
        StoreError: Some of it cannot be opened; the message begins with the field.
    """
    with ExitStack() as opened:
        stores = open_stores(spec.state, scheduler)
        opened.callback(stores.close)
        quotas = open_quotas(spec.state, scheduler)
        opened.callback(quotas.close)
        commits = open_ledger(spec.ledger, scheduler.post)
        opened.pop_all()
    return OpenedState(stores, quotas, commits)
