"""How often what was decided, and by whom."""

from collections import Counter
from dataclasses import dataclass, field

from mixer.engine.decision import Decision, Verdict


@dataclass(slots=True)
class VerdictCounts:
    """How many decisions had each verdict.

    Attributes:
        allow: Those with `Verdict.ALLOW`, and so on.
        allowed: By adapter, the requests that it let pass.
        denied: By adapter, those that it denied.
        failed: By adapter, those that were refused since it failed.
        passed_over: By adapter, those that went on although it failed.
    """

    allow: int = 0
    deny: int = 0
    error: int = 0
    allowed: Counter[str] = field(default_factory=Counter)
    denied: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)

    def add(self, decision: Decision) -> None:
        """Count one; identity, since a dictionary would hash the name of the member."""
        if decision.verdict is Verdict.ALLOW:
            self.allow += 1
            allowed = self.allowed
            for name in decision.adapters:
                allowed[name] += 1
        else:
            self._refused(decision)
        for name in decision.failed_open:
            self.passed_over[name] += 1

    def _refused(self, decision: Decision) -> None:
        if decision.verdict is Verdict.DENY:
            self.deny += 1
            self.denied[decision.adapter] += 1
        else:
            self.error += 1
            self.failed[decision.adapter] += 1
        self.allowed.update(name for name in decision.adapters if name != decision.adapter)

    def of(self, verdict: Verdict) -> int:
        """How many had a verdict."""
        return {Verdict.ALLOW: self.allow, Verdict.DENY: self.deny, Verdict.ERROR: self.error}[
            verdict
        ]

    @property
    def total(self) -> int:
        """How many decisions were made."""
        return self.allow + self.deny + self.error
