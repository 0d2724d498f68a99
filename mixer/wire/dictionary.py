"""The words that Mixer's callers do not send: Istio's global dictionary.

Source: the file ``global_dictionary.yaml`` of Istio's API; words are only ever appended.
"""

from importlib.resources import files

WORDS = tuple(files(__package__).joinpath("global_dictionary.txt").read_text("utf-8").split("\n"))[
    :-1
]
"""By index."""

INDICES = {word: index for index, word in enumerate(WORDS)}
"""By word."""
