"""What every test may ask for: the real schemas, an installation of its own, and the partners' real files."""

import os
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


def needs(program: str) -> None:
    """Skip a test whose program is not installed; in CI that is a failure."""
    import shutil

    if shutil.which(program) is None:
        message = f"{program} is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
