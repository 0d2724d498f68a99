"""Mixer: one decision service for every proxy."""
