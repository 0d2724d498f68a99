"""``spec.ledger``."""

from pathlib import Path

import pytest

from mixer.config import ConfigError, LedgerSettings, loads

_HEAD = """
apiVersion: mixer.dev/v1alpha1
kind: Mixer
metadata: {name: mixer}
spec:
  ledger: """

_SECRET = "hunter2"


def _ledger(text: str, **environ: str) -> LedgerSettings:
    ledger = loads(_HEAD + text, base=Path("/etc/mixer"), environ=environ).mixer.ledger
    assert ledger is not None
    return ledger


def test_sqlite() -> None:
    """The path is relative to the file."""
    ledger = _ledger("{sqlite: {path: usage.db}, maxPendingBytes: 1Mi, commitInterval: 5ms}")
    assert ledger.sqlite is not None
    assert ledger.sqlite.path == Path("/etc/mixer/usage.db")
    assert (ledger.max_pending_bytes, ledger.commit_interval) == (1 << 20, 0.005)


@pytest.mark.parametrize("dsn", ["postgresql://mixer@db/usage", "host=/run dbname=usage user=a"])
def test_postgresql(dsn: str) -> None:
    """A URL or libpq's own form, and a password from elsewhere."""
    ledger = _ledger(f"{{postgresql: {{dsn: '{dsn}', passwordFrom: {{env: PW}}}}}}", PW=_SECRET)
    assert ledger.postgresql is not None
    assert (ledger.postgresql.location, ledger.postgresql.password) == (dsn, _SECRET)
    assert _SECRET not in repr(ledger)


def test_a_dsn_from_elsewhere() -> None:
    """It may have the password in it, and is shown nowhere."""
    dsn = f"postgresql://mixer:{_SECRET}@db/usage"
    ledger = _ledger("{postgresql: {dsnFrom: {env: DSN}}}", DSN=dsn)
    assert ledger.postgresql is not None
    assert ledger.postgresql.location == dsn
    assert _SECRET not in repr(ledger)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "spec.ledger: must have one of sqlite and postgresql"),
        ("{sqlite: {path: a}, postgresql: {dsn: 'host=a'}}", "must have one of sqlite and"),
        ("{sqlite: {}}", "spec.ledger.sqlite.path: is required"),
        ("{sqlite: {path: a}, maxPendingRecords: 0}", "maxPendingRecords: must be at least 1"),
        ("{sqlite: {path: a}, commitInterval: 2s}", "commitInterval: must be from 0s to 1s"),
        ("{sqlite: {path: a}, maxPendingBytes: 1Ki}", "maxPendingBytes: must be from 1Mi to 16Gi"),
        ("{postgresql: {}}", "spec.ledger.postgresql: must have one of dsn and dsnFrom"),
        (f"{{postgresql: {{dsn: 'mysql://a:{_SECRET}@b'}}}}", "dsn: must be postgresql://"),
        (f"{{postgresql: {{dsn: 'a {_SECRET}'}}}}", "dsn: must be postgresql://"),
        (f"{{postgresql: {{dsn: 'postgresql://[{_SECRET}'}}}}", "dsn: must be postgresql://"),
        (f"{{postgresql: {{dsn: 'postgresql://a:{_SECRET}@b/c', passwordFrom: {{env: PW}}}}}}",
         "must have one password"),
        (f"{{postgresql: {{dsn: 'host=a password={_SECRET}', passwordFrom: {{env: PW}}}}}}",
         "must have one password"),
        (f"{{postgresql: {{dsn: 'postgresql://a:b@{_SECRET}@c/d'}}}}", "must have one @ at most"),
        (f"{{postgresql: {{dsn: 'postgresql://a:b/{_SECRET}@c/d'}}}}", "must have one @ at most"),
        ("{postgresql: {dsnFrom: {env: DSN}}}", "must be postgresql://"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, expected: str) -> None:
    """The field and the bound are told, and no password."""
    with pytest.raises(ConfigError) as error:
        _ledger(text, PW="x", DSN=_SECRET)
    assert expected in str(error.value)
    assert _SECRET not in str(error.value)
