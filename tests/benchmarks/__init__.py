"""Benchmarks: ``python -m tests.benchmarks``; they print, and never pass or fail."""
