"""Whether a result may be written where it is wanted: into a folder that exists, and replacing nothing unasked."""

from pathlib import Path

from .errors import OutputError, OutputExistsError


def check_new(output: Path) -> None:
    """Insist that nothing has this name yet.

    Raises:
        OutputExistsError: something has.
    """
    if output.exists():
        raise OutputExistsError(f"Expected a new file, got {output}, which exists; add --overwrite to replace it.")


def check_folder(output: Path) -> None:
    """Insist that the folder of ``output`` exists.

    Raises:
        OutputError: it does not.
    """
    if not output.parent.is_dir():
        raise OutputError(f"Expected a folder {output.parent} to write to, found none; make it, or correct the path.")
