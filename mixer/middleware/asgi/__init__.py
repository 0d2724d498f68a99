"""ASGI: a middleware for HTTP and WebSocket applications."""

from mixer.middleware.asgi.middleware import MixerMiddleware

__all__ = ["MixerMiddleware"]
