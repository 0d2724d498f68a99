"""Asking a central service: Mixer v1, with the caches and policies of `mixer.client`."""

from mixer.middleware.service.decider import ServiceDecider

__all__ = ["ServiceDecider"]
