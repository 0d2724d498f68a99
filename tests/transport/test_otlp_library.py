"""OpenTelemetry's files, over which another package may have put old ones."""

import sys

import pytest

from mixer.transport import OtlpLibraryError
from mixer.transport.serve import _otlp_push


def test_files_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is told with the command that mends it."""
    monkeypatch.delitem(sys.modules, "mixer.transport.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.metric_exporter", None)
    with pytest.raises(OtlpLibraryError, match="--force-reinstall --no-deps opentelemetry-proto"):
        _otlp_push()
