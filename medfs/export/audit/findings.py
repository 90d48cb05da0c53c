"""What an audit says."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong with a bundle.

    Attributes:
        where: file, and the key in it.
        what: short name of the problem, the same for the same problem.
        why: the value that was found, and what it could do.
    """

    where: str
    what: str
    why: str
