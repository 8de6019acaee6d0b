"""The store keeps what it was given, whole, once, whoever else is writing."""

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from pipelines.errors import RejectedError, SourceError
from pipelines.store import STAGING, LocalStore, digest, sha256_file, whole
from tests.conftest import missing


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "home" / "store")


def commit_some(root: Path, writer: int, times: int) -> list[int]:
    return [LocalStore(root).commit_new("log", {"writer": writer, "turn": turn}) for turn in range(times)]


def put_one(root: Path, content: bytes) -> bool:
    try:
        LocalStore(root).put_new("releases/1/release.json", content)
    except RejectedError:
        return False
    return True


def entries(store: LocalStore) -> list[dict[str, object]]:
    return [json.loads(store.get(key)) for key in store.list("log/")]


def leftovers(store: LocalStore) -> list[Path]:
    return list((store.root / STAGING).iterdir())


def test_what_is_put_can_be_had_again(store: LocalStore, tmp_path: Path) -> None:
    source = tmp_path / "sites.csv"
    source.write_bytes(b"id\n1\n")
    store.put_new("landing/gsi/a", source)
    store.put_new("landing/gsi/b", b"id\n2\n")
    assert (store.get("landing/gsi/a"), store.get("landing/gsi/b")) == (b"id\n1\n", b"id\n2\n")
    assert store.path("landing/gsi/a") == store.root / "landing" / "gsi" / "a"
    assert leftovers(store) == []


def test_what_is_stored_does_not_follow_its_source(store: LocalStore, tmp_path: Path) -> None:
    source = tmp_path / "sites.csv"
    source.write_bytes(b"first")
    store.put_new("a", source)
    source.write_bytes(b"other")
    assert store.get("a") == b"first"


def test_putting_the_same_again_is_fine_and_other_content_is_refused(store: LocalStore) -> None:
    store.put_new("a/b", b"same")
    store.put_new("a/b", b"same")
    with pytest.raises(RejectedError, match="a/b: already holds other content"):
        store.put_new("a/b", b"else")
    assert store.get("a/b") == b"same"
    assert leftovers(store) == []


def test_what_was_never_put_is_refused_by_name(store: LocalStore) -> None:
    with pytest.raises(RejectedError, match="releases/9/release.json: not in the store"):
        store.get("releases/9/release.json")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "..",
        "../a",
        "a/../../b",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "a\u200bb",
    ]
    + [".staging/a", "a/.hidden", "e\u0301", "x" * 300, "a/" * 600 + "a", "\ud800"],
)
def test_a_key_that_leaves_the_root_or_cannot_be_seen_is_refused(store: LocalStore, key: str) -> None:
    for use in (store.path, store.get, lambda key: store.put_new(key, b""), lambda key: store.replace(key, b"")):
        with pytest.raises(RejectedError, match="not a key"):
            use(key)


def test_keys_are_listed_by_prefix_in_order(store: LocalStore) -> None:
    for key in ("releases/10/a", "releases/1/b", "releases/1/a/c", "log/1", "releases-old"):
        store.put_new(key, b"")
    assert store.list("releases/1/") == ["releases/1/a/c", "releases/1/b"]
    assert store.list("releases/1") == ["releases/1/a/c", "releases/1/b", "releases/10/a"]
    assert store.list("releases") == ["releases-old", "releases/1/a/c", "releases/1/b", "releases/10/a"]
    assert len(store.list()) == 5
    assert store.list("nothing/here") == []


def test_log_numbers_begin_at_one_and_have_twenty_digits(store: LocalStore) -> None:
    assert [store.commit_new("log", {"state": "published"}) for _ in range(3)] == [1, 2, 3]
    assert store.list("log/") == [f"log/{number:020d}.json" for number in (1, 2, 3)]
    assert [entry["sequence"] for entry in entries(store)] == [1, 2, 3]
    assert len({entry["nonce"] for entry in entries(store)}) == 3


def test_a_writer_that_needs_a_number_does_not_get_another(store: LocalStore) -> None:
    assert store.commit_new("log", {}, number=1) == 1
    for number in (1, 3):
        with pytest.raises(RejectedError, match=f"entry {number} cannot be committed, the next one is 2"):
            store.commit_new("log", {}, number=number)
    assert store.commit_new("log", {}, number=2) == 2


def test_an_entry_cannot_bring_its_own_number(store: LocalStore) -> None:
    with pytest.raises(RejectedError, match="given by the store"):
        store.commit_new("log", {"sequence": 7})
    with pytest.raises(RejectedError, match="no canonical JSON"):
        store.commit_new("log", {"share": float("nan")})
    assert store.list("log") == []


def test_six_processes_commit_at_once_and_no_entry_is_lost_doubled_or_left_out(store: LocalStore) -> None:
    with ProcessPoolExecutor(6, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(commit_some, store.root, writer, 50) for writer in range(6)]
        numbers = [number for future in futures for number in future.result()]
    assert sorted(numbers) == list(range(1, 301))
    written = entries(store)
    assert [entry["sequence"] for entry in written] == list(range(1, 301))
    assert Counter((entry["writer"], entry["turn"]) for entry in written) == Counter(
        (writer, turn) for writer in range(6) for turn in range(50)
    )
    assert leftovers(store) == []


def test_eight_threads_commit_at_once_and_no_entry_is_lost_doubled_or_left_out(store: LocalStore) -> None:
    threads = [threading.Thread(target=commit_some, args=(store.root, writer, 20)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = entries(store)
    assert [entry["sequence"] for entry in written] == list(range(1, 161))
    assert len({(entry["writer"], entry["turn"]) for entry in written}) == 160


def test_of_many_writers_of_one_key_one_wins(store: LocalStore) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        won = list(pool.map(put_one, [store.root] * 8, [bytes([number]) * 100_000 for number in range(8)]))
    assert won.count(True) == 1
    assert store.get("releases/1/release.json") == bytes([won.index(True)]) * 100_000


def test_a_killed_writer_leaves_a_whole_log_that_the_next_one_continues(store: LocalStore) -> None:
    program = (
        "import sys; from pathlib import Path; from pipelines.store import LocalStore\n"
        "while True: LocalStore(Path(sys.argv[1])).commit_new('log', {'rows': 'x' * 100_000})"
    )
    for _ in range(5):
        before = len(store.list("log"))
        with subprocess.Popen([sys.executable, "-c", program, str(store.root)]) as writer:
            while writer.poll() is None and len(store.list("log")) < before + 3:
                time.sleep(0.005)
            writer.send_signal(signal.SIGKILL)
        store.commit_new("log", {"rows": "after"})
    written = entries(store)
    assert [entry["sequence"] for entry in written] == list(range(1, len(written) + 1))
    assert {len(str(entry["rows"])) for entry in written} == {5, 100_000}


def test_a_full_disk_is_told_and_leaves_nothing_behind(store: LocalStore) -> None:
    store.put_new("kept", b"kept")
    program = (
        "import sys; from pathlib import Path; from pipelines.store import LocalStore\n"
        "from pipelines.errors import SourceError\n"
        "store = LocalStore(Path(sys.argv[1]))\n"
        "for write in (store.put_new, store.replace):\n"
        "    try: write('large', b'x' * 2_000_000)\n"
        "    except SourceError as error: print(error)"
    )
    limit = 1_000_000
    told = subprocess.run(
        [sys.executable, "-c", program, str(store.root)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == ["large: cannot be written: File too large"] * 2
    assert store.list() == ["kept"]
    assert leftovers(store) == []


def test_every_write_is_flushed_before_it_is_named_and_its_folders_after(store: LocalStore, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pipelines.store import LocalStore\n"
        "LocalStore(Path(sys.argv[1])).commit_new('log', {})"
    )
    trace = tmp_path / "trace"
    calls = ["strace", "-f", "-y", "-e", "trace=fsync,link,linkat,unlink,unlinkat", "-o", str(trace)]
    try:
        subprocess.run([*calls, sys.executable, "-c", program, str(store.root)], check=True)
    except FileNotFoundError:
        missing("strace")
    named = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if str(store.root) in line]
    link = next(place for place, line in enumerate(named) if line.startswith("link"))
    assert any(line.startswith("fsync") and STAGING in line for line in named[:link])
    folders = [line for line in named[link:] if line.startswith("fsync")]
    assert f"{store.root}/log>" in folders[0]
    assert f"{store.root}>" in folders[1]


def test_replacing_changes_a_file_in_one_step_for_its_readers(store: LocalStore) -> None:
    contents = {b"a" * 50_000, b"b" * 50_000}
    store.replace("current.json", b"a" * 50_000)
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(store.get("current.json"))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        store.replace("current.json", sorted(contents)[turn % 2])
    done.set()
    reader.join()
    assert seen <= contents
    assert store.list() == ["current.json"]


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "new" / "figures.gpkg"
    with whole(target) as partial:
        partial.write_text("first")
        assert partial.suffix == ".gpkg"
        assert not target.exists()
    with pytest.raises(ZeroDivisionError), whole(target) as partial:
        partial.write_text("second")
        raise ZeroDivisionError
    assert target.read_text() == "first"
    with pytest.raises(SourceError, match=r"figures\.gpkg: cannot be written"), whole(target):
        pass
    assert list(target.parent.iterdir()) == [target]


def test_a_files_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "zeros"
    file.write_bytes(bytes(9_000_000))
    told = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout
    assert sha256_file(file) == told.split()[0]


def test_a_digest_depends_on_what_is_said_and_not_on_how() -> None:
    assert digest({"b": [1, "é"], "a": None}) == digest(json.loads('{"a": null, "b": [1, "\\u00e9"]}'))
    assert digest([1, 2]) != digest([2, 1])
    assert digest({"a": 1}) != digest({"a": "1"})
    for inexact in ({"a": float("inf")}, {"a": object()}):
        with pytest.raises(RejectedError, match="no canonical JSON"):
            digest(inexact)
