"""What is of PostgreSQL alone."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from mixer.state import StoreError
from mixer.state.ledger.postgresql import PostgresqlLedger, PostgresqlOptions
from tests.state.ledger.conftest import postgresql_place
from tests.support.ledger_entries import records
from tests.support.postgresql_server import PostgresqlServer


@pytest.mark.parametrize("default", ["read committed", "repeatable read", "serializable"])
def test_hosts_take_turns(postgresql: PostgresqlServer, default: str) -> None:
    """Whoever waited for the head appends behind what came, whatever isolation is the default."""
    ledger = postgresql_place(postgresql).writer()
    escaped = default.replace(" ", "\\\\ ")
    dsn = f"{postgresql.dsn} options='-c default_transaction_isolation={escaped}'"
    other = PostgresqlLedger(PostgresqlOptions(dsn))
    other.append(records("a"))
    with psycopg.connect(postgresql.dsn) as first, ThreadPoolExecutor(1) as pool:
        first.execute("UPDATE mixer_ledger_head SET one = one")
        waiting = pool.submit(other.append, records("b"))
        _until_one_waits(postgresql)
        first.commit()
        assert waiting.result(30).head.position == 2
    other.close()
    ledger.close()


def _until_one_waits(server: PostgresqlServer) -> None:
    deadline = time.monotonic() + 30
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        while connection.execute(query).fetchone() != (1,):
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://mixer:s3cret@127.0.0.1:1/postgres",
        "postgresql://mixer:%zzs3cret@127.0.0.1:1/postgres",
        "host=127.0.0.1 port=1 password=a s3cret dbname=x",
        "host=127.0.0.1 port=1 password='s3cret dbname=x",
    ],
)
def test_a_password_is_in_no_error(dsn: str) -> None:
    """Neither where nobody listens, nor where the DSN is none."""
    options = PostgresqlOptions(dsn, timeout=2)
    with pytest.raises(StoreError, match="PostgreSQL: ") as raised:
        PostgresqlLedger(options)
    assert "s3cret" not in f"{raised.value!r} {options}"
