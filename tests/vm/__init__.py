"""Tests of isolated VMs."""
