"""What every test may ask for: the real schemas, an installation of its own, and the partners' real files."""

import os
import shutil
from pathlib import Path

import pytest

from pipelines.contracts import Schemas, load_schemas
from pipelines.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    """Give the repository's own contracts and feeds."""
    return load_schemas(PROJECT / "schemas")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give an empty installation that reads the bundled samples."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(
        home=home,
        drop=PROJECT / "samples",
        schemas=PROJECT / "schemas",
        catalogue_url=f"sqlite:///{home / 'catalogue.db'}",
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of the partners' real files; tests that need it skip where it is not."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the partners' real files (../shared/data) are not here")
    return SHARED


def missing(what: str) -> None:
    """Skip a test for want of something that set-up installs; in CI that is a failure."""
    message = f"{what} is not installed; `make test` installs it where it may"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def needs(program: str) -> None:
    """Skip a test whose program is not installed; in CI that is a failure."""
    if shutil.which(program) is None:
        missing(program)
