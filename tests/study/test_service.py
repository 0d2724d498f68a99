import os
import sys
from pathlib import Path

import pytest

from mixer.study.process import ProcessError
from mixer.study.service import ServiceProcess, is_serving

# Speaks no ext_authz: what is tested here is how the process is run.
SERVER = """
import pathlib, signal, sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

address = pathlib.Path(sys.argv[1]).read_text()
server = grpc.server(ThreadPoolExecutor(2))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
servicer.set("", health_pb2.HealthCheckResponse.{status})
server.add_insecure_port(address)
server.start()
print("listening on", address, flush=True)
signal.sigwait([signal.SIGTERM])
print("stopped", flush=True)
server.stop(0).wait()
"""


def service(tmp_path: Path, code: str, start_timeout_s: float = 30.0) -> ServiceProcess:
    address = f"unix:{tmp_path}/s"
    config = tmp_path / "mixer.yaml"
    config.write_text(address)
    script = tmp_path / "server.py"
    script.write_text(code)
    return ServiceProcess(
        config,
        address,
        tmp_path / "log",
        command=(sys.executable, str(script)),
        start_timeout_s=start_timeout_s,
    )


async def test_service_is_serving_inside_and_gone_outside(tmp_path: Path) -> None:
    """Entering waits for SERVING; leaving asks the service to stop, and reaps it."""
    code = SERVER.format(status="SERVING").replace(
        "server.start()",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nserver.start()",
    )
    async with service(tmp_path, code) as running:
        assert await is_serving(running.address)
        assert running.exit_status is None
        assert "listening on" in running.log_text()
    assert running.exit_status == 0
    assert "stopped" in running.log_text()
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


async def test_service_that_ends_shows_its_log(tmp_path: Path) -> None:
    """A service that cannot start is an error with its last words."""
    with pytest.raises(ProcessError, match=r"(?s)the Mixer service ended .*bad configuration"):
        async with service(tmp_path, "raise SystemExit('bad configuration')"):
            pass


async def test_not_serving_is_not_ready(tmp_path: Path) -> None:
    """A service that answers NOT_SERVING is not ready, and is not left behind."""
    running = service(tmp_path, SERVER.format(status="NOT_SERVING"), start_timeout_s=2.0)
    with pytest.raises(ProcessError, match="was not ready within 2 s"):
        async with running:
            pass
    assert running.exit_status is not None
    assert not await is_serving(running.address)
