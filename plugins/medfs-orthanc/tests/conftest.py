"""An Orthanc of one's own for each test, simulated CT series, and a model made from such."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from medfs_orthanc.cli import ATTACHMENT, main

from medfs.scans.write_dicom import write_ct_series
from medfs.synthesis.cohorts import SimulatedCase, simulate_cohort

PER_CLASS, HELD_OUT = 4, 3
USER, PASSWORD = "tester", "a password for tests"
STABLE_S = 1
PATIENCE_S = 60


@dataclass
class Server:
    """A running Orthanc."""

    binary: str
    folder: Path
    port: int
    more: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = {
            "Name": "tests",
            "StorageDirectory": str(self.folder / "db"),
            "IndexDirectory": str(self.folder / "db"),
            "HttpPort": self.port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "StableAge": STABLE_S,
            "Plugins": [],
            **self.more,
        }
        (self.folder / "orthanc.json").write_text(json.dumps(config))
        with (self.folder / "orthanc.log").open("ab") as log:
            command = [self.binary, str(self.folder / "orthanc.json")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "orthanc.log").read_text()
        try:
            return self.get("/system").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, auth=(USER, PASSWORD), trust_env=False)

    def put(self, path: str, content: bytes) -> httpx.Response:
        return httpx.put(
            self.url + path, content=content, auth=(USER, PASSWORD), trust_env=False
        ).raise_for_status()

    def delete(self, path: str) -> None:
        deleted = httpx.delete(self.url + path, auth=(USER, PASSWORD), trust_env=False)
        deleted.raise_for_status()

    def upload(self, *files: Path) -> str:
        """The series to which the last of these files belongs."""
        with httpx.Client(auth=(USER, PASSWORD), trust_env=False) as client:
            for file in files:
                sent = client.post(f"{self.url}/instances", content=file.read_bytes())
                sent.raise_for_status()
        return str(sent.json()["ParentSeries"])

    def put_series(self, *folders: Path) -> list[str]:
        """Upload folders of a series each, and wait until Orthanc calls all of them stable."""
        series = [self.upload(*sorted(folder.iterdir())) for folder in folders]
        self.until_stable(*series)
        return series

    def until_stable(self, *series: str, times: int = 1) -> None:
        """Wait until Orthanc has called each of them stable so often."""
        until(lambda: all(self._told_stable().count(s) >= times for s in series))

    def _told_stable(self) -> list[str]:
        changes = self.get("/changes?since=0&limit=10000").json()["Changes"]
        return [c["ID"] for c in changes if c["ChangeType"] == "StableSeries"]

    def content_of(self, series: str, number: int = ATTACHMENT) -> bytes | None:
        said = self.get(f"/series/{series}/attachments/{number}/data")
        return said.content if said.status_code == 200 else None

    def answer(self, series: str) -> dict[str, Any]:
        content = self.content_of(series)
        assert content is not None
        return dict(json.loads(content))


def until(true: Callable[[], bool]) -> None:
    """Wait for it, but not for ever."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def binary() -> str:
    found = shutil.which("Orthanc", path=os.pathsep.join((os.environ["PATH"], "/usr/sbin")))
    if found is None:
        pytest.skip("there is no Orthanc here: apt-get install orthanc")
    return found


@pytest.fixture
def new_server(binary, tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """Start a server with more options than usual."""
    started: list[Server] = []

    def start(**more: Any) -> Server:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = Server(binary, tmp_path_factory.mktemp("orthanc"), port, more)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(new_server) -> Server:
    return new_server()


@pytest.fixture(scope="session")
def simulated() -> list[SimulatedCase]:
    return list(islice(simulate_cohort(PER_CLASS + HELD_OUT, 0), 2 * PER_CLASS + HELD_OUT))


@pytest.fixture(scope="session")
def support(tmp_path_factory, simulated) -> Path:
    root = tmp_path_factory.mktemp("support")
    for i, case in enumerate(simulated[: 2 * PER_CLASS]):
        write(root / case.label / f"case-{i}", case)
    return root


@pytest.fixture(scope="session")
def scans(tmp_path_factory, simulated) -> list[Path]:
    """Folders of held-out series, of patients whose names must not turn up anywhere."""
    root = tmp_path_factory.mktemp("scans")
    for i, case in enumerate(simulated[2 * PER_CLASS :]):
        patient, description = f"MUELLER ANNA {i}", "Schmidt thorax"
        write(root / f"scan-{i}", case, patient=patient, description=description)
    return sorted(root.iterdir())


def write(folder: Path, case: SimulatedCase, **other: Any) -> None:
    """A case as a CT series, with other voxels, affine, patient or description."""
    given = {"voxels": case.voxels, "affine_ras": case.affine, "patient": "nobody"}
    write_ct_series(folder, **{**given, "description": "Simulated", "seed": "tests", **other})


@pytest.fixture(scope="session")
def write_series() -> Callable[..., None]:
    """`write`, for tests with series of their own."""
    return write


@pytest.fixture(scope="session")
def model(tmp_path_factory, support) -> Path:
    return adapted(tmp_path_factory.mktemp("model") / "model", support)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory, support) -> Path:
    return adapted(tmp_path_factory.mktemp("other") / "model", support, mapper="prototype")


def adapted(out: Path, support: Path, **more: Any) -> Path:
    from medfs.workflows.adapt import AdaptRequest, adapt

    adapt(
        AdaptRequest(
            support, out, features=("radiomics",), use_masks=False, use_cache=False, **more
        )
    )
    return out


@dataclass(frozen=True)
class Outcome:
    """What one run of the command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def watch(monkeypatch, capfd) -> Callable[..., Outcome]:
    """Run `medfs-orthanc` in this process, as a user who knows the password."""
    monkeypatch.setenv("MEDFS_ORTHANC_PASSWORD", PASSWORD)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["medfs-orthanc", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        # Below Python's own streams, where libraries write to.
        shown = capfd.readouterr()
        if "--debug" not in arguments:
            assert "Traceback" not in shown.err
        return Outcome(int(stop.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def once(watch, server, model, tmp_path) -> Callable[..., Outcome]:
    """One look at `server`, with a state that stays for the test."""

    def run(*more: object) -> Outcome:
        given = {"--url": server.url, "--user": USER, "--model": model}
        given |= {"--state": tmp_path / "state.json"}
        given |= dict(zip(more[::2], more[1::2], strict=True))
        return watch("--once", *(part for option in given.items() for part in option))

    return run
