"""Shared data and queues of the processes of one host, in a memory-mapped file."""

from mixer.state.lmdb_store.stores import lmdb_stores

__all__ = ["lmdb_stores"]
