"""Istio 1.x Mixer configuration, converted to this project's.

`convert` reads rules, handlers, instances and attribute manifests, and gives the documents that do
the same here, with everything that could not be carried over.
"""

from mixer.convert.conversion import Conversion, convert, convert_documents
from mixer.convert.findings import Finding, Outcome
from mixer.convert.output import Output
from mixer.convert.writing import as_yaml, write

__all__ = [
    "Conversion",
    "Finding",
    "Outcome",
    "Output",
    "as_yaml",
    "convert",
    "convert_documents",
    "write",
]
