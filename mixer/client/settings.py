"""How a client behaves; the defaults are those of the Istio 1.3 proxy, unless said otherwise."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mixer.client.target import check_target
from mixer.client.tls import TlsSettings

_MIB = 1 << 20


class NetworkFailPolicy(StrEnum):
    """What a check is answered that the server did not answer."""

    FAIL_OPEN = "FAIL_OPEN"
    FAIL_CLOSE = "FAIL_CLOSE"


class ReportEncoding(StrEnum):
    """How the records of one report follow from each other."""

    INDEPENDENT = "INDEPENDENT"
    DELTA = "DELTA"


def _check(settings: Any, switch: str | None = None, **bounds: tuple[float, float]) -> None:
    if switch and type(getattr(settings, switch)) is not bool:
        raise ValueError(f"{type(settings).__name__}.{switch} must be True or False")
    for name, (least, most) in bounds.items():
        value = getattr(settings, name)
        seconds = isinstance(least, float)
        number = isinstance(value, int | float if seconds else int) and type(value) is not bool
        if not number or not least <= value <= most:
            kind = "seconds" if seconds else "a whole number"
            raise ValueError(
                f"{type(settings).__name__}.{name} must be {kind} from {least} to {most},"
                f" not {value!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCacheSettings:
    """Of the answers that are kept.

    Attributes:
        enabled: Whether any are; quotas are prefetched only for requests whose check is kept.
        entries: Answers at the most, 1 to 10,000,000.
        max_bytes: What they may take, 4 KiB to 16 GiB.
        reference_sets: Sets of attributes that answers followed from, 1 to 10,000. A look-up that
            finds nothing tries them all.

    Raises:
        ValueError: A value is out of its bounds.
    """

    enabled: bool = True
    entries: int = 10_000
    max_bytes: int = 64 * _MIB
    reference_sets: int = 100

    def __post_init__(self) -> None:
        _check(
            self,
            switch="enabled",
            entries=(1, 10_000_000),
            max_bytes=(4096, 1 << 34),
            reference_sets=(1, 10_000),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCacheSettings:
    """Of the quota that is asked for in advance.

    Attributes:
        enabled: Whether any is.
        entries: Pools of granted amounts at the most, 1 to 10,000,000: one for each quota and each
            combination of values that it depends on.
        max_bytes: What they may take, 4 KiB to 16 GiB.
        idle: Seconds after which an unused pool is forgotten, 1 to 86,400.
        reference_sets: As for checks, for each quota.
        min_prefetch: The least amount asked for in advance, 1 to 1,000,000.
        predict_window: Seconds; what was asked for in the last ones is what is asked for in
            advance, 0.1 to 60.
        close_wait: Seconds until the server is asked again once it granted less, or failed to
            answer, 0 to 60.

    Raises:
        ValueError: A value is out of its bounds.
    """

    enabled: bool = True
    entries: int = 10_000
    max_bytes: int = 64 * _MIB
    idle: float = 600.0
    reference_sets: int = 100
    min_prefetch: int = 10
    predict_window: float = 1.0
    close_wait: float = 0.5

    def __post_init__(self) -> None:
        _check(
            self,
            switch="enabled",
            entries=(1, 10_000_000),
            max_bytes=(4096, 1 << 34),
            idle=(1.0, 86_400.0),
            reference_sets=(1, 10_000),
            min_prefetch=(1, 1_000_000),
            predict_window=(0.1, 60.0),
            close_wait=(0.0, 60.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """Of the records that are sent together.

    Attributes:
        batching: Whether they are; otherwise each is sent at once by itself.
        entries: Records of a batch at the most, 1 to 10,000.
        interval: Seconds that a record waits for others, 0.001 to 60.
        encoding: DELTA sends of a record only what differs from the one before it.
        max_pending: Records accepted and not yet delivered, `entries` to 10,000,000.
        max_pending_bytes: What they may take once encoded, 4 KiB to 16 GiB.
        in_flight: Batches sent at the same time, 1 to 64.
        timeout: Seconds for the server to answer one batch, 0.001 to 300.

    Raises:
        ValueError: A value is out of its bounds.
    """

    batching: bool = True
    entries: int = 100
    interval: float = 1.0
    encoding: ReportEncoding = ReportEncoding.INDEPENDENT
    max_pending: int = 10_000
    max_pending_bytes: int = 64 * _MIB
    in_flight: int = 2
    timeout: float = 5.0

    def __post_init__(self) -> None:
        _check(
            self,
            switch="batching",
            entries=(1, 10_000),
            interval=(0.001, 60.0),
            max_pending=(self.entries, 10_000_000),
            max_pending_bytes=(4096, 1 << 34),
            in_flight=(1, 64),
            timeout=(0.001, 300.0),
        )
        object.__setattr__(self, "encoding", ReportEncoding(self.encoding))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Of calls that failed in a way that another try can mend.

    Attributes:
        retries: Further tries of a check, 0 to 100. Reports are tried until they are delivered.
        base: Seconds before the first of them, 0.001 to 60.
        most: Seconds between two of them at the most, `base` to 600; in between, by chance.

    Raises:
        ValueError: A value is out of its bounds.
    """

    retries: int = 0
    base: float = 0.08
    most: float = 1.0

    def __post_init__(self) -> None:
        _check(self, retries=(0, 100), base=(0.001, 60.0))
        _check(self, most=(float(self.base), 600.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Of a client.

    Attributes:
        address: Of the server, as gRPC names it: ``host:port`` with a port from 1 to 65535,
            ``dns:///host:port`` or ``unix:path``.
        timeout: Seconds for a check with all its tries, 0.001 to 300.
        network_fail_policy: What is answered where the server does not. An Istio proxy without
            configuration fails open; what Istio 1.3 installs fails close.
        retry: Of calls that failed.
        check_cache: Of the answers that are kept.
        quota_cache: Of the quota that is asked for in advance.
        report: Of the records that are sent together.
        tls: How the connection is secured; None for plaintext.

    Raises:
        TypeError: The address is no text.
        ValueError: A value is out of its bounds.
    """

    address: str
    timeout: float = 5.0
    network_fail_policy: NetworkFailPolicy = NetworkFailPolicy.FAIL_CLOSE
    retry: RetrySettings = field(default_factory=RetrySettings)
    check_cache: CheckCacheSettings = field(default_factory=CheckCacheSettings)
    quota_cache: QuotaCacheSettings = field(default_factory=QuotaCacheSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.address, str):
            raise TypeError(f"ClientSettings.address must be text, not {self.address!r}")
        try:
            check_target(self.address)
        except ValueError as error:
            raise ValueError(f"ClientSettings.address: {error}") from None
        _check(self, timeout=(0.001, 300.0))
        object.__setattr__(self, "network_fail_policy", NetworkFailPolicy(self.network_fail_policy))
