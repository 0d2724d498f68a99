"""``python -m mixer``."""

from mixer.cli import app

app()
