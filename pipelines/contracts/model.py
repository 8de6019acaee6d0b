"""The base of everything read from YAML: frozen, and strict about what it does not know."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A checked, frozen object; an unknown key stops the build."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
