"""Mixer's expression language (CEXL), and its translation to CEL.

Source: Istio 1.x, the attribute expression language of Mixer's configuration.
"""

from mixer.convert.cexl.errors import CexlError
from mixer.convert.cexl.results import Translator

__all__ = ["CexlError", "Translator"]
