"""Airflow's processes on this machine: started together, known to be ours, and all gone afterwards."""

import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from pipelines.errors import MineralsError
from pipelines.settings import PROJECT, Settings

COMPONENTS = ("api-server", "scheduler", "dag-processor")
HEALTHY = {"metadatabase", "scheduler", "dag_processor"}
PRELOADED = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
    "great_expectations",
    "pipelines.audit",
    "pipelines.flow",
)
"""Imported once, in the process that every task is forked from; else each task would spend seconds importing them."""
ALWAYS = {
    "GX_ANALYTICS_ENABLED": "False",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
    "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
    # A supervisor that misses its task's end by a hair sleeps for one such interval, five seconds by default.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
PR_SET_PDEATHSIG = 1
STARTS_WITHIN_S = 180.0
LOCK_PATIENCE_S = 60
MARK = "MINERALS_AIRFLOW"
"""Every process that descends from an instance carries its name in this variable."""
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAREWELLS = ((signal.SIGINT, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""Signals sent on the way out, each with the seconds that it is given; Airflow's parts do not all heed the first."""


@dataclass(frozen=True)
class Instance:
    """One running Airflow: its name, its folder, its port, its processes and when it began."""

    name: str
    home: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def address(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def log_file(self, component: str) -> Path:
        """Where a component's own output goes."""
        return self.home / "logs" / f"{component}.log"

    def check_alive(self) -> None:
        """Raise MineralsError when a component has ended by itself, with the end of its log."""
        for component, process in self.processes.items():
            if process.poll() is not None:
                tail = "\n".join(self.log_file(component).read_text(errors="replace").splitlines()[-15:])
                raise MineralsError(f"Airflow's {component} ended by itself (exit {process.returncode}):\n{tail}")


@contextmanager
def running(settings: Settings, *, port: int = 0) -> Iterator[tuple[Instance, httpx.Client]]:
    """Start Airflow, give it with a signed-in client once healthy, and leave no process behind.

    Parameters
    ----------
    settings : the installation; Airflow's own folder is ``airflow`` in its home.
    port : where the pages are wanted; any free port when it is taken or 0.

    Raises
    ------
    MineralsError
        When another instance uses the same home, or Airflow does not become healthy.
    """
    home = settings.home / "airflow"
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with _only_one(home / "instance.lock"):
        instance = Instance(name=f"minerals-{secrets.token_hex(4)}", home=home, port=free_port(port))
        for number in INTERRUPTIONS:
            signal.signal(number, _interrupt)
        try:
            _start(instance, _environment(instance, settings))
            with httpx.Client(base_url=instance.address, timeout=2 * LOCK_PATIENCE_S) as client:
                _wait_until_healthy(instance, client)
                client.headers["Authorization"] = f"Bearer {client.get('/auth/token').json()['access_token']}"
                _check_ours(instance, client)
                yield instance, client
        finally:
            stop(instance)


def free_port(preferred: int = 0) -> int:
    """Give the preferred port of this machine when it is free, else any that is."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise MineralsError("no free port on 127.0.0.1")


def stop(instance: Instance) -> None:
    """End every process of an instance, the stubborn by force."""
    kept = [(number, signal.signal(number, signal.SIG_IGN)) for number in INTERRUPTIONS]
    for farewell, patience in FAREWELLS:
        _tell(members(instance), farewell)
        until = time.monotonic() + patience
        while members(instance) and time.monotonic() < until:
            time.sleep(0.1)
    for process in instance.processes.values():
        process.wait(timeout=5)
    for number, handler in kept:
        signal.signal(number, handler)
    if left := members(instance):
        raise MineralsError(f"Airflow's processes {left} could not be ended")


def members(instance: Instance) -> list[int]:
    """List the instance's living processes: of its sessions, or carrying its mark.

    Tasks run in process groups of their own and processes that change their title lose their environment, so neither
    the group nor the mark alone finds them all.
    """
    leaders = {process.pid for process in instance.processes.values()}
    if not Path("/proc/self/stat").exists():
        return [process.pid for process in instance.processes.values() if process.poll() is None]
    mark = f"{MARK}={instance.name}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            state, _, _, session = (entry / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[:4]
            if state not in "ZX" and (int(session) in leaders or mark in (entry / "environ").read_bytes()):
                found.append(int(entry.name))
    for process in instance.processes.values():
        process.poll()
    return found


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock for as long as an instance uses its folder."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MineralsError(f"another Airflow is running in {path.parent}; stop it, or set MINERALS_HOME") from None
        yield


def _end_with_parent() -> None:
    """Ask the kernel to end a component when the process that started it is killed outright."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _environment(instance: Instance, settings: Settings) -> dict[str, str]:
    """Airflow's settings, all of them ours: whatever else the shell says about Airflow is left out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    programs = Path(sys.executable).parent
    ours = {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        MARK: instance.name,
        "MINERALS_HOME": str(settings.home),
        "MINERALS_DROP": str(settings.drop),
        "MINERALS_SCHEMAS": str(settings.schemas),
        "MINERALS_CATALOGUE_URL": settings.catalogue_url,
        "AIRFLOW_HOME": str(instance.home),
        # The scheduler holds SQLite's lock for seconds while the first tasks' process imports what it preloads.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{instance.home / 'airflow.db'}?timeout={LOCK_PATIENCE_S}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PARALLELISM": str(max(2, os.cpu_count() or 2)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{instance.address}/execution/",
        "AIRFLOW__API__PORT": str(instance.port),
        "AIRFLOW__API__BASE_URL": instance.address,
        "AIRFLOW__API__INSTANCE_NAME": instance.name,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }
    return inherited | ALWAYS | ours


def _start(instance: Instance, environment: dict[str, str]) -> None:
    """Bring the metadata up to date, then start each component in a session of its own."""
    airflow = str(Path(sys.executable).parent / "airflow")
    _launch(instance, "migrate", [airflow, "db", "migrate"], environment)
    if instance.processes["migrate"].wait(timeout=STARTS_WITHIN_S) != 0:
        instance.check_alive()
    del instance.processes["migrate"]
    for component in COMPONENTS:
        _launch(instance, component, [airflow, component], environment)


def _launch(instance: Instance, name: str, command: list[str], environment: dict[str, str]) -> None:
    with instance.log_file(name).open("wb") as output:
        instance.processes[name] = subprocess.Popen(  # noqa: S603 - our own program, without a shell
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )


def _wait_until_healthy(instance: Instance, client: httpx.Client) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        instance.check_alive()
        with suppress(httpx.TransportError, ValueError):
            answer = client.get("/api/v2/monitor/health").json()
            if all(answer[part]["status"] == "healthy" for part in HEALTHY):
                return
        time.sleep(0.3)
    raise MineralsError(
        f"Airflow is not healthy after {STARTS_WITHIN_S:.0f} s; its logs are in {instance.home / 'logs'}"
    )


def _check_ours(instance: Instance, client: httpx.Client) -> None:
    """Make sure that it is our server that answers: another one may have taken the port in between."""
    answered = client.get("/ui/config").json().get("instance_name")
    if answered != instance.name:
        raise MineralsError(f"{instance.address} is answered by another server ({answered}); try again")


def _tell(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
