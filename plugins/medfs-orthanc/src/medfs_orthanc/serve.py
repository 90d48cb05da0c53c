"""A model folder and a server → a watch that runs once, or until it is stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medfs_orthanc.answer import Model
from medfs_orthanc.client import Http, check_url, travels_in_the_clear
from medfs_orthanc.errors import UnreachableError
from medfs_orthanc.server import Orthanc
from medfs_orthanc.state import State, read_state, write_state
from medfs_orthanc.watch import FAILED, Tell, Watch


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        model: folder that `medfs adapt` wrote.
        state: file that remembers how far the watch has come.
        url: of Orthanc.
        credentials: user and password.
        modalities: of the series to answer; those that the model is for if empty.
        attachment: its number.
        interval: seconds between two looks at the server; None for one look.
        from_now: without a state, leave out what the server holds.
        device: where encoders run.
    """

    model: Path
    state: Path
    url: str
    credentials: tuple[str, str] | None
    modalities: frozenset[str]
    attachment: int
    interval: float | None
    from_now: bool
    device: str


def serve(request: Request, tell: Tell, warn: Tell, unexpected: Callable[[], None]) -> bool:
    """Answer series; returns whether some failed, if it is to return at all.

    Args:
        request: what to do.
        tell: takes lines of log.
        warn: takes what a user should know even if logs are not wanted.
        unexpected: is called while an exception that nobody foresaw is handled.

    Raises:
        UserError: the call is off, the model cannot be used, or the server refuses.
    """
    url = check_url(request.url)
    if travels_in_the_clear(url):
        warn(f"{url} is not encrypted: scans, and a password, can be read on the way; use https")
    model = Model.load(request.model, request.device)
    with Http(url, request.credentials) as http:
        server = Orthanc(http)
        version = server.check()
        state = _start(request, server, State(url, model.sha256))
        modalities = request.modalities or model.modalities
        watch = Watch(
            server=server,
            model=model,
            state_file=request.state,
            state=state,
            number=request.attachment,
            modalities=modalities,
            tell=tell,
            warn=warn,
            unexpected=unexpected,
        )
        tell(
            f"Orthanc {version} at {url}, from change {state.last}: "
            f"{' and '.join(sorted(modalities)) or 'all'} series are answered in attachment "
            f"{request.attachment}. For research use only"
        )
        _go_on(watch, request.interval)
    tell(", ".join(f"{n} {what}" for what, n in sorted(watch.counts.items())) or "nothing new")
    return watch.counts[FAILED] > 0


def _start(request: Request, server: Orthanc, fresh: State) -> State:
    """Where the last watch ended; written at once, so that a wrong path is told before any work."""
    state = read_state(request.state, fresh.url, fresh.model)
    if state is None:
        state = fresh.at(server.last_change() if request.from_now else 0)
        write_state(request.state, state)
    return state


def _go_on(watch: Watch, interval: float | None) -> None:
    if interval is None:
        watch.catch_up()
        return
    lost = False
    while True:
        try:
            watch.catch_up()
            if lost:
                watch.tell("Orthanc answers again")
            lost = False
        except UnreachableError as error:
            if not lost:
                watch.warn(f"{error} It is tried again every {interval:g} s.")
            lost = True
        time.sleep(interval)
