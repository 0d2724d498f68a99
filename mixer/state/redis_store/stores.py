"""Both stores on one server, opened together."""

from mixer.state.limits import StateLimits
from mixer.state.ports import Post, Stores
from mixer.state.redis_store.client import RedisClient, RedisOptions
from mixer.state.redis_store.data import RedisSharedData
from mixer.state.redis_store.queues import RedisSharedQueues


def redis_stores(options: RedisOptions, limits: StateLimits, post: Post) -> Stores:
    """Open the stores of a server, together with every other process that has its prefix.

    Args:
        options: Where it is.
        limits: Of each ``vm_id``.
        post: Brings notifications from other processes into the thread of the stores' user.

    Raises:
        StoreError: It does not answer, or holds what this version cannot read.
    """
    client = RedisClient(options)
    queues = RedisSharedQueues(client, limits, post)

    def close() -> None:
        queues.close()
        client.close()

    return Stores(RedisSharedData(client, limits), queues, close)
