"""Engines to read metrics of."""

from tests.engine.conftest import make_engine, plugins

__all__ = ["make_engine", "plugins"]
