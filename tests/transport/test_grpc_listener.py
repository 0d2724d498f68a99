"""How a service with TLS asks itself."""

import stat
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.transport.test_guard import SERVICE, listening, own_service


async def test_the_socket_for_the_service_itself(tmp_path: Path) -> None:
    """It needs no certificate there, nobody else gets there, and nobody may ask anything there."""
    async with listening(tmp_path, own_service(), is_probed=True) as listener:
        address = listener.probed
        assert address is not None
        path = Path(address.removeprefix("unix:"))
        assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IRWXU
        async with grpc.aio.insecure_channel(address) as opened:
            ask = opened.unary_unary("/mixer.transport.WaitProbe/Ask")
            assert await ask(b"data", timeout=30) == b"data"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await opened.unary_unary(f"/{SERVICE}/One")(b"1", timeout=30)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert not path.parent.exists()


async def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts, and says that it does not measure."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    async with listening(tmp_path, own_service(), is_probed=True) as listener:
        assert listener.probed is None
    assert "listener grpc: the latency cannot be measured" in caplog.text
