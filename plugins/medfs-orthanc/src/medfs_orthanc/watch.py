"""Changes of a server, one after the other: which series is answered, and what is remembered."""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from medfs.core.errors import DataError, UserError
from medfs_orthanc.answer import Model, from_bytes, in_words, to_bytes
from medfs_orthanc.errors import CredentialsError, GoneError, UnreachableError
from medfs_orthanc.server import Attachment, Orthanc, Series, Stable
from medfs_orthanc.state import State, write_state

ANSWERED, FAILED, PASSED_OVER = "answered", "failed", "passed over"
_TRIES = 3
_LARGEST = 4 << 30
Tell = Callable[[str], None]


@dataclass
class Watch:
    """A model that answers the series of a server.

    Attributes:
        server: where they are.
        model: what answers them.
        state_file: where `state` is kept.
        state: how far it has come.
        number: of the attachment.
        modalities: of the series to answer; all if empty.
        tell, warn: take lines of log.
        unexpected: is called while an exception that nobody foresaw is handled.
        counts: of series, by what became of them.
    """

    server: Orthanc
    model: Model
    state_file: Path
    state: State
    number: int
    modalities: frozenset[str]
    tell: Tell
    warn: Tell
    unexpected: Callable[[], None] = lambda: None
    counts: Counter[str] = field(default_factory=Counter)

    def catch_up(self) -> None:
        """Deal with everything that became stable since the last time.

        Raises:
            UnreachableError, CredentialsError: the same call can go on later.
            ServerError: the server does not say what changed.
            OutputError: the state cannot be written.
        """
        self._notice_a_new_database()
        done = False
        while not done:
            since = self.state.last
            changes = self.server.changes(since)
            newest = {change.series: change.seq for change in changes.stable}
            for change in changes.stable:
                if newest[change.series] == change.seq:
                    self._deal_with(change)
                self._keep(self.state.at(change.seq))
            if changes.last != self.state.last:
                self._keep(self.state.at(changes.last))
            # Of a server that promises more and gives nothing, the same would be asked for ever.
            done = changes.done or changes.last <= since

    def _notice_a_new_database(self) -> None:
        newest = self.server.last_change()
        if newest < self.state.last:
            self.warn(
                f"the server's newest change is {newest}, and {self.state.last} had been reached: "
                "its database is another one, so the watch begins anew"
            )
            self._keep(self.state.at(0))

    def _deal_with(self, change: Stable) -> None:
        """One series; whatever is wrong with it is told, counted, and stops nothing."""
        try:
            outcome = self._outcome(change.series)
        except CredentialsError:
            raise
        except UnreachableError as error:
            self._try_later(change, error)
            outcome = FAILED
        except UserError as error:
            self.warn(f"series {change.series}: {error}")
            outcome = FAILED
        except Exception as error:
            # Its text may quote what no rule here has seen.
            self.warn(
                f"series {change.series}: medfs stumbled over something it does not expect "
                f"({type(error).__name__}). Run again with --debug and another --state, and report "
                "what it prints, without patient data."
            )
            self.unexpected()
            outcome = FAILED
        self.counts[outcome] += 1

    def _try_later(self, change: Stable, error: UnreachableError) -> None:
        """Raise the error unless it came too often: then it is the series, and not the server."""
        if self.state.tries + 1 < _TRIES:
            self._keep(replace(self.state, tries=self.state.tries + 1))
            raise error
        self.warn(f"series {change.series}: given up after {_TRIES} tries. {error}")

    def _outcome(self, orthanc_id: str) -> str:
        try:
            series = self.server.series(orthanc_id)
        except GoneError:
            return self._pass_over(orthanc_id, "it was deleted")
        if not series.stable:
            return self._pass_over(orthanc_id, "images still arrive")
        if self.modalities and series.modality not in self.modalities:
            return self._pass_over(orthanc_id, "it is of another modality")
        before = self.server.attachment(orthanc_id, self.number)
        earlier = None if before is None else from_bytes(before.content)
        if before is not None and earlier is None:
            raise _foreign(self.number)
        if earlier is not None and self.model.has_answered(earlier, series):
            return self._pass_over(orthanc_id, "it is answered already")
        return self._answer(series, before)

    def _pass_over(self, orthanc_id: str, why: str) -> str:
        self.tell(f"series {orthanc_id}: passed over, as {why}")
        return PASSED_OVER

    def _answer(self, series: Series, before: Attachment | None) -> str:
        if (size := self.server.bytes_of(series)) > _LARGEST:
            raise DataError(
                "the series is too large",
                why=f"It has {size / 1e9:.1f} GB; up to {_LARGEST / 1e9:.1f} are fetched",
                todo="Predict it with `medfs predict` from a folder",
            )
        with tempfile.TemporaryDirectory(prefix="medfs-orthanc-") as name:
            folder = Path(name)
            try:
                self.server.fetch(series, folder)
            except OSError as error:
                raise _no_room(folder, error) from error
            answer = self.model.answer(series, folder)
        self.server.attach(series.orthanc_id, self.number, to_bytes(answer), before)
        failed = answer["familiar"] is None
        (self.warn if failed else self.tell)(f"series {series.orthanc_id}: {in_words(answer)}")
        return FAILED if failed else ANSWERED

    def _keep(self, state: State) -> None:
        write_state(self.state_file, state)
        self.state = state


def _foreign(number: int) -> DataError:
    return DataError(
        f"attachment {number} holds something that medfs-orthanc did not write",
        why="It is left as it is",
        todo="Give another --attachment, or delete that one",
    )


def _no_room(folder: Path, error: OSError) -> DataError:
    return DataError(
        "the series cannot be kept while it is read",
        why=f"{folder.parent}: {error.strerror or type(error).__name__}",
        todo="Free space there, or set TMPDIR to a folder with more",
    )
