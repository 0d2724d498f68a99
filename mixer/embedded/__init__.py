"""The adapters in this process: what decides behind `mixer.middleware`, without a service."""

from mixer.embedded.decider import EmbeddedDecider

__all__ = ["EmbeddedDecider"]
