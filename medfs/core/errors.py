"""Errors that a user can act on.

Every error says what happened, to which case, why, and what to do next. The class decides the exit
code of the command line; `__str__` is the text that the user reads.
"""

from typing import ClassVar


def _sentence(text: str) -> str:
    # Values of headers are quoted in errors: control characters would act on a terminal.
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return shown if shown.endswith("?") else f"{shown.rstrip('.')}."


class MedfsError(Exception):
    """Root of everything medfs raises on purpose."""

    exit_code: ClassVar[int] = 1


class UserError(MedfsError):
    """Something in the input, the call or the machine that the user can put right.

    Args:
        what: what went wrong, in one sentence without a full stop.
        case: the case, file or folder concerned.
        why: the reason, with the values that were found.
        todo: the next step for the user.
    """

    def __init__(
        self, what: str, *, case: str | None = None, why: str | None = None, todo: str | None = None
    ) -> None:
        super().__init__(what)
        self.what, self.case, self.why, self.todo = what, case, why, todo

    def __str__(self) -> str:
        head = f"{self.case}: {self.what}" if self.case else self.what
        sentences = [head, self.why, self.todo]
        return " ".join(_sentence(s) for s in sentences if s)

    def about(self, case: str) -> "UserError":
        """The same error, said of `case`."""
        return type(self)(self.what, case=case, why=self.why, todo=self.todo)


class UsageError(UserError):
    """The call itself is off: an unknown name, an impossible combination of options."""

    exit_code = 2


class DataError(UserError):
    """The data cannot be used as it is."""

    exit_code = 3


class ScanReadError(DataError):
    """A file is missing, truncated, of another type, or cannot be decoded."""


class GeometryError(DataError):
    """Where the voxels lie in the patient is unknown, ambiguous or contradictory."""


class FieldError(GeometryError):
    """The scan is smaller than the field of view that was asked for: left out, not faulty."""


class CohortError(DataError):
    """Cases, labels or patients do not form a usable cohort."""


class EpisodeError(DataError):
    """An episode cannot be drawn from, or does not fit, the cohort."""


class CalibrationError(DataError):
    """Probabilities cannot be calibrated from what was given."""


class ConfigError(DataError):
    """A preset or recipe does not fit its schema."""


class IntegrityError(UserError):
    """A model folder or shipped file was changed, is incomplete, or is nothing medfs will load."""

    exit_code = 4


class OutputError(UserError):
    """The output cannot be written, or exists already."""

    exit_code = 1


class MissingExtraError(UserError):
    """An optional dependency is not installed."""

    exit_code = 1


class PluginError(UserError):
    """A package that extends medfs is broken."""

    exit_code = 1
