"""Callouts: what modules ask of other services.

`ports` is what the host knows of them; the rest of this package are clients that do it over real
sockets. The host and the engine import the ports alone.
"""
