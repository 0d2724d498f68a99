"""``spec.loadShedding``."""

import pytest

from mixer.config import LatencyShedding, LoadShedding, RateShedding, SheddingMode


def test_it_is_off_by_default(mixer):
    """Without it nothing is counted or refused."""
    assert mixer("").load_shedding == LoadShedding()
    assert mixer("loadShedding: {}").load_shedding.mode is SheddingMode.DISABLED


def test_settings_are_read_in_their_units(mixer):
    """Durations become seconds; the window has a default, and the burst is left to the rate."""
    bounds = "maxConcurrent: 7, latency: {threshold: 20ms}, rate: {requestsPerSecond: 9}"
    assert mixer(f"loadShedding: {{mode: LOG_ONLY, {bounds}}}").load_shedding == LoadShedding(
        mode=SheddingMode.LOG_ONLY,
        max_concurrent=7,
        latency=LatencyShedding.model_construct(threshold=0.02, window=0.1),
        rate=RateShedding(requests_per_second=9),
    )


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("mode: ENFORCE", "mode: ENFORCE needs maxConcurrent, latency or rate"),
        ("mode: LOG_ONLY", "mode: LOG_ONLY needs maxConcurrent, latency or rate"),
        ("mode: enforce", "mode: must be one of DISABLED, LOG_ONLY, ENFORCE, not 'enforce'; did"),
        ("maxConcurrent: 0", "maxConcurrent: must be at least 1"),
        ("maxConcurrent: 1000001", "maxConcurrent: must be at most 1000000"),
        ("latency: {}", "latency.threshold: is required"),
        ("latency: {threshold: 4ms}", "latency.threshold: must be from 5ms to 1m, not '4ms'"),
        ("latency: {threshold: 1}", "latency.threshold: must be a duration such as"),
        (
            "latency: {threshold: 1s, window: 1h}",
            "latency.window: must be from 10ms to 1m, not '1h'",
        ),
        ("rate: {burst: 1}", "rate.requestsPerSecond: is required"),
        ("rate: {requestsPerSecond: 0}", "rate.requestsPerSecond: must be at least 1"),
        ("rate: {requestsPerSecond: 1, burst: 0}", "rate.burst: must be at least 1"),
        ("rate: {requestsPerSecond: 1.5}", "rate.requestsPerSecond: must be an integer"),
        ("mode: ENFORCE\n  rate: {burst: 1}", "rate.requestsPerSecond: is required"),
    ],
)
def test_wrong_settings_are_refused(mixer_refused, spec, problem):
    """Settings out of their bounds are refused, with field and bound, each once."""
    [found] = mixer_refused(f"loadShedding:\n  {spec}")
    assert found.partition(": ")[2].startswith(f"spec.loadShedding.{problem}")
