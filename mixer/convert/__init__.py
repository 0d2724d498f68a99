"""Istio 1.x Mixer configuration, converted to this project's."""
