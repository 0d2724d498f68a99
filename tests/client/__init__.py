"""The client library, with and without a server."""
