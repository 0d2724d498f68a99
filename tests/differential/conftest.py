"""A differential test without Envoy is skipped, except in CI."""

from tests.e2e.conftest import compiled, envoy

__all__ = ["compiled", "envoy"]
