"""Domains that nobody limits: a misspelled name would otherwise go unnoticed."""

import logging

_log = logging.getLogger(__name__)

_MOST = 100
_LONGEST = 253


class Unserved:
    """Warns of each domain once, of the first hundred."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def note(self, domain: str) -> None:
        """Somebody asked for a limit of a domain for which there is none."""
        if domain in self._known or len(self._known) >= _MOST:
            return
        self._known.add(domain)
        _log.warning(
            "nothing limits requests of the domain %r: no adapter that is annotated with "
            "mixer.dev/quotas has a limit for it",
            domain[:_LONGEST],
        )
