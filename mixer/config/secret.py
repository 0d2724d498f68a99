"""Secrets that a configuration names and does not contain."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from mixer.config.model import Model, Origin, printable

MAX_SECRET_BYTES = 64 * 1024


class SecretSource(Model):
    """Where a secret is read from, once, with the configuration; one of the two.

    Attributes:
        env: A variable of the service's environment.
        file: Absolute here; in YAML absolute, or relative to the folder of the file. A line break
            at its end is no part of the secret.
    """

    env: str | None = Field(default=None, min_length=1, max_length=256)
    file: Path | None = None
    _value: str = PrivateAttr(default="")

    @field_validator("file", mode="before")
    @classmethod
    def _locate(cls, value: object, info: ValidationInfo) -> object:
        return located(value, info)

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("must have one of env and file")
        origin = info.context if isinstance(info.context, Origin) else None
        environ = origin.environ if origin else os.environ
        self._value = _of_file(self.file) if self.file else environ.get(self.env or "", "")
        if not self._value:
            raise ValueError(f"there is nothing in {self.file or f'the variable {self.env}'}")
        return self

    def reveal(self) -> str:
        """The secret."""
        return self._value


def _of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"{path} has over {MAX_SECRET_BYTES} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def located(value: object, info: ValidationInfo) -> object:
    """A path of YAML, which may be relative to the folder of its file."""
    if not isinstance(value, str) or not isinstance(info.context, Origin):
        return value
    if not value:
        raise ValueError("must not be empty")
    return info.context.base / printable(value)
