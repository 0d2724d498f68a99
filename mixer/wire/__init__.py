"""Wire formats that a caller and the service share; no transport, no engine."""
