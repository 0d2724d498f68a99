"""Both stores in one folder, opened together."""

from pathlib import Path

from mixer.state.limits import StateLimits
from mixer.state.lmdb_store.data import LmdbSharedData
from mixer.state.lmdb_store.environment import LmdbEnvironment
from mixer.state.lmdb_store.queues import LmdbSharedQueues
from mixer.state.ports import Post, Stores


def lmdb_stores(folder: Path, map_size: int, limits: StateLimits, post: Post) -> Stores:
    """Open the stores of a folder, together with the other processes that have them open.

    What they hold outlives these processes, and not a restart of the machine: a write is handed to
    the system and not to the disk, so that a host call never waits for one.

    Args:
        folder: Made where it is not there; of this user alone.
        map_size: Bytes that the file can grow to.
        limits: Of each ``vm_id``.
        post: Brings notifications from other processes into the thread of the stores' user.

    Raises:
        StoreError: It cannot be opened.
    """
    environment = LmdbEnvironment(folder, map_size)
    queues = LmdbSharedQueues(environment, limits, post)

    def close() -> None:
        queues.close()
        environment.close()

    return Stores(LmdbSharedData(environment, limits), queues, close)
