"""Mixer's expression language (CEXL), and its translation to CEL.

Source: Istio 1.x, the attribute expression language of Mixer's configuration.
"""

from mixer.convert.cexl.errors import CexlError
from mixer.convert.cexl.nodes import ValueType
from mixer.convert.cexl.results import Translator
from mixer.convert.cexl.vocabulary import ISTIO_VOCABULARY

__all__ = ["ISTIO_VOCABULARY", "CexlError", "Translator", "ValueType"]
