"""One sans-I/O codec for each protocol: bytes to a request, a decision to bytes."""
