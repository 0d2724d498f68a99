"""Streams over adapters that each test makes."""

from tests.engine.conftest import make_engine, plugins

__all__ = ["make_engine", "plugins"]
