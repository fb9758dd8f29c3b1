"""The variables by which OpenSSL finds the certificate authorities that it trusts in place of the system's."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE_VARIABLE: Final = "SSL_CERT_FILE"
"""Names a file of them."""
DIRECTORY_VARIABLE: Final = "SSL_CERT_DIR"
"""Names directories of them, as `PATH` does."""


def odd_authorities(environ: Mapping[str, str]) -> str | None:
    """Why OpenSSL would wait for ever, or read without end, where *environ* has it look; None: it would not.

    It is asked before anything that opens connections is imported: that may read the file at once.
    """
    for variable in (FILE_VARIABLE, DIRECTORY_VARIABLE):
        place = environ.get(variable, "")
        try:
            status = Path(place or os.devnull).stat()
            nothing = os.path.samestat(status, Path(os.devnull).stat())  # a way to say that nobody is trusted
        except (OSError, ValueError):  # what is not there, and a list of directories: OpenSSL passes over it
            continue
        if not (nothing or stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return f"{variable} names {place}, which is neither a file nor a directory: correct it, or unset it"
    return None
