"""What a partner's server is shown so that it answers: from the environment, and nowhere else.

A feed names its credentials (`credentials: GSI_S3`), never their values. These stand in variables such as
MINERALS_SECRET_GSI_S3_KEY, one for each part. They reach a request, and no file, log, message or task of ours.
"""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipelines.errors import ContractError, MineralsError

PREFIX = "MINERALS_SECRET_"
Ways = tuple[tuple[str, ...], ...]
TOKEN_OR_USER: Ways = (("TOKEN",), ("USER", "PASSWORD"))
"""Parts by which a web server knows its callers."""


@dataclass(frozen=True)
class Secrets:
    """The parts of one feed's credentials, by name; none where the feed names no credentials."""

    parts: dict[str, str] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """Give a text without any of the values, whatever wrote it; a user's name is no secret."""
        values = (value for part, value in self.parts.items() if part != "USER")
        for value in sorted(values, key=len, reverse=True):
            text = text.replace(value, "...")
        return text

    @contextmanager
    def kept(self, about: str) -> Iterator[None]:
        """Put a name before every error of ours, and keep the values out of it and of what caused it."""
        try:
            yield
        except MineralsError as error:
            raise type(error)(f"{about}: {self.hide(str(error))}") from (None if self.parts else error)


def load(name: str | None, ways: Ways) -> Secrets:
    """Read credentials from the environment.

    Parameters
    ----------
    name : as the feed says, such as ``GSI_S3``; None for a server that asks nobody.
    ways : the sets of parts that the connector can use, the first of which every part is there is taken.

    Raises
    ------
    ContractError
        If the parts of no way are all there; it names the variables.
    """
    if name is None:
        return Secrets()
    for way in ways:
        parts = {part: os.environ.get(f"{PREFIX}{name}_{part}", "") for part in way}
        if all(parts.values()):
            return Secrets(parts)
    wanted = " or ".join(" with ".join(f"{PREFIX}{name}_{part}" for part in way) for way in ways)
    raise ContractError(f"the credentials {name} are not in the environment; set {wanted}")


def headers(secrets: Secrets, token: str = "Authorization", scheme: str = "Bearer ") -> dict[str, str]:  # noqa: S107 - a header's name
    """Give the request headers that show a token, or a user's name and password.

    >>> headers(Secrets({"TOKEN": "abc"}))
    {'Authorization': 'Bearer abc'}
    """
    if "TOKEN" in secrets.parts:
        return {token: scheme + secrets.parts["TOKEN"]}
    if "USER" in secrets.parts:
        pair = f"{secrets.parts['USER']}:{secrets.parts['PASSWORD']}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
