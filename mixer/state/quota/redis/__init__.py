"""Counters of many hosts, on a Redis or Valkey server."""

from mixer.state.quota.redis.quotas import RedisQuotas

__all__ = ["RedisQuotas"]
