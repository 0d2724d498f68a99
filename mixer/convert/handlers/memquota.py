"""``memquota``: quotas that Mixer keeps in its memory."""

from mixer.convert.fields import Fields
from mixer.convert.findings import LostError
from mixer.convert.handlers.quota import Quota, convert_quotas, read_quotas
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.spans import SECOND
from mixer.convert.workshop import Use, Workshop


def convert(handler: Part, uses: list[Use], workshop: Workshop) -> list[Output]:
    """Its adapter. Raises LostError."""
    params = handler.params()
    quotas = read_quotas(params)
    remembered = params.span("minDeduplicationDuration", SECOND)
    params.finish(workshop.findings)

    def window(one: Fields, quota: Quota) -> int:
        span = one.span("validDuration", 0)
        if one.has("validDuration") and span == 0:
            raise LostError(one.where("validDuration"), "must be longer than 0s: none is for ever")
        if span == 0:
            message = "has no validDuration, and would never be given back: has its quota's here"
            workshop.differs(handler, one.path, message)
        return span or quota.window

    outputs = convert_quotas(handler, uses, quotas, window, workshop, remembered)
    if outputs:
        workshop.differs(handler, params.where("quotas"), "windows do not roll: each begins anew")
    return outputs
