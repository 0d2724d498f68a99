"""An example without Envoy is skipped, except in CI."""

from tests.e2e.conftest import compiled, envoy, services

__all__ = ["compiled", "envoy", "services"]
