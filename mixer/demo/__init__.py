"""``mixer demo``: the same requests to the service and to the same module inside Envoy."""
