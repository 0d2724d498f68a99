"""``compress`` and ``uncompress``: the zlib format, as a whole and without a header of its own."""

import zlib

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.hostcalls.refusal import refuse

MAX_UNCOMPRESSED_BYTES = 8 << 20
"""Of what ``uncompress`` gives."""


def compress(_context: Context, content: bytes) -> bytes:
    """Compress at zlib's usual level."""
    return zlib.compress(content)


def uncompress(context: Context, content: bytes) -> bytes | Status:
    """Uncompress the first stream; as in Envoy, what follows it is ignored."""
    stream = zlib.decompressobj()
    try:
        result = stream.decompress(content, MAX_UNCOMPRESSED_BYTES)
    except zlib.error:
        return Status.SERIALIZATION_FAILURE
    if stream.eof:
        return result
    if len(result) < MAX_UNCOMPRESSED_BYTES:
        return Status.SERIALIZATION_FAILURE
    return refuse(
        context, "uncompress", f"what it would give has over {MAX_UNCOMPRESSED_BYTES} bytes"
    )


FUNCTIONS: dict[str, ForeignFunction] = {"compress": compress, "uncompress": uncompress}
