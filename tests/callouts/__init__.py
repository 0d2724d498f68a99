"""Clusters, and the clients of callouts over real sockets."""
