"""Real processes to study the service with: Envoy, an upstream, a client, the service itself."""
