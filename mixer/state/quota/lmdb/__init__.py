"""Counters of the processes of one host, in a memory-mapped file."""

from mixer.state.quota.lmdb.quotas import LmdbQuotas

__all__ = ["LmdbQuotas"]
