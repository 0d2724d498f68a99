"""Shared data and queues of many hosts, in Redis or Valkey."""

from mixer.state.redis_store.client import RedisOptions
from mixer.state.redis_store.stores import redis_stores

__all__ = ["RedisOptions", "redis_stores"]
