"""An adapter that could not answer, or not even start."""

from dataclasses import dataclass

from mixer.config.problem import FieldPath


class AdapterFailure(Exception):  # noqa: N818 - the field's word for it
    """An adapter gave no answer to one request.

    Args:
        adapter: Its name.
        reason: A short word for the decision log.
        rule: The rule that configures it; empty where its WasmPlugin does.
        may_fail_open: Whether failStrategy FAIL_OPEN applies. It is for modules that break, not for
            what a module did on purpose, such as closing the stream, and not for what the proxy
            must be configured to send.
    """

    def __init__(self, adapter: str, reason: str, *, may_fail_open: bool, rule: str = "") -> None:
        super().__init__(f"{adapter}: {reason}")
        self.adapter = adapter
        self.rule = rule
        self.reason = reason
        self.may_fail_open = may_fail_open


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a module cannot be run.

    Attributes:
        field: The field of the WasmPlugin that it is about.
        reason: For people.
    """

    field: FieldPath
    reason: str


URL: FieldPath = ("spec", "url")
DIGEST: FieldPath = ("spec", "sha256")
CAPABILITIES: FieldPath = ("metadata", "annotations", "mixer.dev/allowed-capabilities")
MAX_VM_MEMORY: FieldPath = ("metadata", "annotations", "mixer.dev/max-vm-memory")
TYPE: FieldPath = ("spec", "type")
QUOTAS: FieldPath = ("metadata", "annotations", "mixer.dev/quotas")
CONFIGURATION: FieldPath = ("spec", "pluginConfig")


def misled(adapter: str, reason: str) -> AdapterFailure:
    """The module works, but neither goes on nor answers: that must let nothing pass."""
    return AdapterFailure(adapter, reason, may_fail_open=False)
