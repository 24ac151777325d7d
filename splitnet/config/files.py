"""Files that a configuration names, and secrets: a reference to where they are, never they themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, model_validator

from splitnet.errors import ConfigError


def _from_its_folder(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if folder is None else folder / path


FilePath = Annotated[Path, AfterValidator(_from_its_folder)]
"""A path; a relative one starts from the folder of the configuration file."""


class Secret(BaseModel):
    """`{ env = "NAME" }` or `{ file = "path" }`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str = ""
    file: FilePath | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_plain_text(cls, value: object) -> object:
        if isinstance(value, str):
            text = 'a secret does not belong in this file; write { env = "NAME" } or { file = "path" }'
            raise ValueError(text)  # noqa: TRY004 - what pydantic makes an error of
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        if bool(self.env) == (self.file is not None):
            raise ValueError("give either env or file")
        return self

    def reveal(self, what: str) -> str:
        """The secret; `what` (a key) is for the message. Raises ConfigError where it is not there or empty."""
        if self.file is not None:
            try:
                value = self.file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{what}: {self.file} cannot be read: {error}") from error
            where = str(self.file)
        else:
            value, where = os.environ.get(self.env, ""), f"the environment variable {self.env}"
        if not value:
            raise ConfigError(f"{what}: {where} is empty or not set")
        return value
