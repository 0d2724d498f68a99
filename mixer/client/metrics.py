"""What a client counts."""

from dataclasses import dataclass, replace


@dataclass(slots=True, kw_only=True)
class ClientMetrics:
    """Counts since the client began; the last five are of now.

    Attributes:
        checks: Checks that were asked for.
        check_cache_hits: Of them, those whose answer was kept.
        check_cache_misses: And those whose answer was not.
        check_cache_evictions: Kept answers that were forgotten to make room.
        quota_checks: Checks that wanted quota, and were not refused before it came to that.
        quota_cache_hits: Of them, those that were answered without asking the server.
        quota_cache_misses: And those that were not.
        quota_prefetches: Calls only for quota in advance.
        remote_calls: Calls of Check, the tries each.
        remote_failures: Of them, those that failed.
        retries: Of them, those that were another try.
        fail_open: Checks that the server did not answer, and that were allowed.
        fail_close: And those that were refused.
        report_entries: Records that were accepted.
        report_entries_delivered: Of them, those that the server took.
        report_entries_dropped: And those that were given up.
        report_entries_refused: Records that were not accepted, since there was no room.
        report_batches: Calls of Report, the tries each.
        report_failures: Of them, those that failed.
        report_retries: Of them, those that were another try.
        check_cache_entries: Answers that are kept.
        check_cache_bytes: What they take.
        quota_cache_entries: Pools of quota.
        report_pending: Records that were accepted, and neither delivered nor given up.
        report_pending_bytes: What they take.
    """

    checks: int = 0
    check_cache_hits: int = 0
    check_cache_misses: int = 0
    check_cache_evictions: int = 0
    quota_checks: int = 0
    quota_cache_hits: int = 0
    quota_cache_misses: int = 0
    quota_prefetches: int = 0
    remote_calls: int = 0
    remote_failures: int = 0
    retries: int = 0
    fail_open: int = 0
    fail_close: int = 0
    report_entries: int = 0
    report_entries_delivered: int = 0
    report_entries_dropped: int = 0
    report_entries_refused: int = 0
    report_batches: int = 0
    report_failures: int = 0
    report_retries: int = 0
    check_cache_entries: int = 0
    check_cache_bytes: int = 0
    quota_cache_entries: int = 0
    report_pending: int = 0
    report_pending_bytes: int = 0

    def copy(self) -> "ClientMetrics":
        """What it is now."""
        return replace(self)
