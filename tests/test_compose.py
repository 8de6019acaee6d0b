"""The production set-up holds: it is accepted, its secrets are required, and it opens no more than it must."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT, needs

COMPOSE = PROJECT / "docker-compose.yml"
REQUIRED = sorted(set(re.findall(r"\$\{([A-Z0-9_]+):\?", COMPOSE.read_text())))
ONE_SHOT = {"init"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Give the services as written, anchors resolved and variables not."""
    return yaml.safe_load(COMPOSE.read_text())["services"]


def config(folder: Path, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Have docker-compose judge the file, with these variables and no .env of a developer's."""
    needs("docker-compose")
    inherited = {name: value for name, value in os.environ.items() if name not in REQUIRED}
    nothing = folder / "empty.env"
    nothing.touch()
    return subprocess.run(
        ["docker-compose", "--file", COMPOSE, "--env-file", nothing, "config"],
        env=inherited | secrets,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    said = config(tmp_path, {name: "/tmp/x" for name in REQUIRED})  # noqa: S108 - one value is a folder
    assert said.returncode == 0, said.stderr
    assert set(yaml.safe_load(said.stdout)["services"]) >= {"api-server", "scheduler", "worker", "releases"}


def test_a_missing_secret_stops_it_and_is_named(tmp_path: Path) -> None:
    said = config(tmp_path, {name: "x" for name in REQUIRED if name != "JWT_SECRET"})
    assert said.returncode != 0
    assert "JWT_SECRET is not set" in said.stderr


def test_the_example_names_every_required_variable_and_gives_no_secret() -> None:
    lines = [line for line in (PROJECT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    assert set(REQUIRED) <= set(example)
    assert [name for name in REQUIRED if example[name]] == []


def test_partners_secrets_reach_workers_alone(services: dict[str, Any]) -> None:
    given = {name: service["env_file"] for name, service in services.items() if "env_file" in service}
    assert given == {"worker": "${SECRETS_FILE:-deploy/no-secrets.env}"}
    assert "SECRETS_FILE=\n" in (PROJECT / ".env.example").read_text()
    lines = (PROJECT / "deploy" / "no-secrets.env").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == []


def test_every_long_running_service_has_a_health_check(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if name not in ONE_SHOT and not service.get("healthcheck")] == []


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.search(r":\d+\.\d+", service["image"]), f"{name}: {service['image']}"
    assert re.search(r"^FROM apache/airflow:3\.3\.2-python3\.11$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)


def test_no_secret_is_written_down(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|CONN", name) and "LOG" not in name:
                assert ":?" in str(value), name


def test_the_examples_stay_out_and_people_sign_in(services: dict[str, Any]) -> None:
    environment = services["api-server"]["environment"]
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")


def test_only_the_pages_and_the_releases_are_published_and_on_loopback(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert set(published) == {"api-server", "releases"}
    assert all(":-127.0.0.1:" in port for ports in published.values() for port in ports)


def test_releases_are_served_read_only(services: dict[str, Any]) -> None:
    assert all(volume.endswith(":ro") for volume in services["releases"]["volumes"])


def test_data_outlives_the_containers(services: dict[str, Any]) -> None:
    named = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert named <= used
    assert {"postgres", "redis", "object-store"} <= {
        name for name, service in services.items() if any(part.split(":")[0] in named for part in service["volumes"])
    }
