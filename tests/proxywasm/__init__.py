"""Tests of the Proxy-Wasm host."""
