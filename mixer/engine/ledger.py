"""The configured ledger, opened."""

from mixer.config import LedgerSettings
from mixer.state import Post, StoreError
from mixer.state.ledger import CommitLimits, GroupCommit, Ledger, LedgerReader

SQLITE_FIELD = "spec.ledger.sqlite.path"


def open_ledger(settings: LedgerSettings | None, post: Post) -> GroupCommit | None:
    """Open it for appending; None where none is configured.

    Args:
        settings: ``spec.ledger``.
        post: Brings what became of commits into the thread of the caller.

    Raises:
        StoreError: It cannot be opened; the message begins with the field.
    """
    if settings is None:
        return None
    limits = CommitLimits(
        max_records=settings.max_pending_records,
        max_bytes=settings.max_pending_bytes,
        interval=settings.commit_interval,
    )
    return GroupCommit(_writer(settings), limits, post)


def _writer(settings: LedgerSettings) -> Ledger:
    try:
        if settings.sqlite is not None:
            from mixer.state.ledger.sqlite import SqliteLedger

            return SqliteLedger(settings.sqlite.path)
        from mixer.state.ledger.postgresql import PostgresqlLedger, PostgresqlOptions

        assert settings.postgresql is not None
        where = settings.postgresql
        return PostgresqlLedger(PostgresqlOptions(where.location, where.password, where.timeout))
    except StoreError as error:
        raise StoreError(f"{_field(settings)}: {error}") from error


def _field(settings: LedgerSettings) -> str:
    return SQLITE_FIELD if settings.sqlite is not None else "spec.ledger.postgresql"


def obstacle_here(settings: LedgerSettings | None) -> str | None:
    """Say what keeps a ledger in a file from being opened on this machine; nothing is made.

    The service may run on another one.
    """
    if settings is None or settings.sqlite is None:
        return None
    from mixer.state.ledger.sqlite_place import obstacle

    path = settings.sqlite.path
    found = obstacle(path)
    if found is None:
        return None
    return f"{_field(settings)}: on this machine {path} cannot be opened: {found}"


def open_ledger_reader(settings: LedgerSettings) -> LedgerReader:
    """Open it for reading, while others append.

    Raises:
        StoreError: It cannot be opened; the message begins with the field.
    """
    try:
        if settings.sqlite is not None:
            from mixer.state.ledger.sqlite import SqliteReader

            return SqliteReader(settings.sqlite.path)
        from mixer.state.ledger.postgresql import PostgresqlOptions, PostgresqlReader

        assert settings.postgresql is not None
        where = settings.postgresql
        return PostgresqlReader(PostgresqlOptions(where.location, where.password, where.timeout))
    except StoreError as error:
        raise StoreError(f"{_field(settings)}: {error}") from error
