"""What every store of shared state does."""
