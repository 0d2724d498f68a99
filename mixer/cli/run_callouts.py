"""The clusters that a run may call for real."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from mixer.config import Cluster, ConfigError, MixerSpec, load
from mixer.runner.inputs import InputError
from mixer.runner.plugin_file import documents_of

if TYPE_CHECKING:
    from mixer.runner.waiting import Waiter


def called_clusters(texts: Sequence[str], config: str, *, all_of_config: bool) -> MixerSpec | None:
    """Read ``--cluster`` and, with ``--callouts``, the clusters of the ``--config`` file.

    Args:
        texts: Each ``NAME=HOST:PORT``.
        config: As ``--config`` takes it.
        all_of_config: Whether those of the file count.

    Returns:
        A service's settings with these clusters; None where nothing is to be called.

    Raises:
        InputError: One of them cannot be read, or there is no file.
    """
    if not texts and not all_of_config:
        return None
    spec = _spec_of(config) if all_of_config else MixerSpec()
    return spec.model_copy(update={"clusters": (*spec.clusters, *map(_cluster, texts))})


def _spec_of(config: str) -> MixerSpec:
    documents = documents_of(config)
    if documents is None:
        raise InputError("--callouts calls the clusters of a YAML file: give one with --config")
    try:
        spec = load(documents).mixer
    except ConfigError as error:
        raise InputError(str(error)) from error
    if not (spec.clusters or spec.dynamic_upstreams):
        raise InputError(f"{config[1:]} has no spec.clusters: --cluster NAME=HOST:PORT names one")
    return spec


def _cluster(text: str) -> Cluster:
    name, separator, address = text.rpartition("=")
    if not separator:
        raise InputError(f"--cluster {text!r}: write NAME=HOST:PORT, such as auth=127.0.0.1:8000")
    try:
        return Cluster.model_validate({"name": name, "endpoints": [address]})
    except ValueError as error:
        why = str(error).splitlines()[2].strip()
        raise InputError(f"--cluster {text!r}: {why.partition(' [')[0]}") from error


@contextmanager
def network(spec: MixerSpec | None) -> "Iterator[Waiter | None]":
    """How a run waits for real callouts; None where there are none."""
    if spec is None:
        yield None
        return
    from mixer.engine.clusters import open_callouts
    from mixer.runner.waiting import LoopWaiter

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        callouts = runner.run(stack.enter_async_context(open_callouts(spec)))
        try:
            yield LoopWaiter(runner, callouts)
        finally:
            runner.run(stack.aclose())
