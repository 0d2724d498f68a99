"""Expressions as they are written: CEL over the attributes, compiled by the engine."""

from typing import Annotated

from pydantic import Field

MAX_CHARACTERS = 4096

Expression = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
