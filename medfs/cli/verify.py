"""`medfs verify` and `medfs sign`."""

from pathlib import Path
from typing import Annotated

import typer

from medfs.cli.console import say

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A model folder or a bundle.")]


def verify(
    folder: Folder,
    key: Annotated[
        Path | None,
        typer.Option(help="Public key of minisign; without it, only sums count."),
    ] = None,
) -> None:
    """Check that a model or bundle is as it was made, and with a key, by whom."""
    from medfs.export.signing import verify as run

    found = run(folder, key)
    say(f"{found.files} files are as {folder / 'SHA256SUMS'} lists them")
    say(f"signed: {found.comment}" if found.signed else "the signature was not checked: no --key")


def sign(
    folder: Folder,
    key: Annotated[Path, typer.Option(help="Secret key, as `minisign -G` makes it.")],
    comment: Annotated[str, typer.Option(help="Signed too, and shown by verify.")] = "medfs",
) -> None:
    """Sign a model or bundle; the key's password is read from MEDFS_SIGNING_PASSWORD."""
    import os

    from medfs.export.signing import sign as run

    made = run(folder, key, os.environ.get("MEDFS_SIGNING_PASSWORD"), comment)
    say(f"signature written to {made}")
