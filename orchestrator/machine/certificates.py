"""Certificate authorities: the certificates in a file of them, whatever else stands there, and whose files those of the environment are."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from .openssl_variables import DIRECTORY_VARIABLE, FILE_VARIABLE
from .ownership import ForeignFileError, refuse_foreign, refuse_foreign_place, refuse_open_vacancy

_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>(?:TRUSTED |X509 )?CERTIFICATE)-----\s[A-Za-z0-9+/=\s]+?-----END (?P=kind)-----",
    re.ASCII,  # or \s would take Unicode's spaces in, and OpenSSL takes none
)
_OTHER = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_DER = b"\x30"  # an ASN.1 sequence, as which every certificate begins
_FORMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def pem_certificates(data: bytes) -> str:
    """The certificates in *data*, a PEM file, without comments in whatever encoding: real bundles have accents in them.

    Raises:
        ValueError: There are none, or one cannot be read; the message goes on from the file's name.
    """
    text = data.decode(_FORMS.get(data[:2], _FORMS.get(data[:3], "ascii")), "replace")
    blocks = [found.group() for found in _BLOCK.finditer(text)]
    if not blocks:
        raise ValueError(_why_none(data, text))
    pem = "\n".join(blocks) + "\n"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except ssl.SSLError as error:
        raise ValueError(f"holds a certificate that cannot be read ({error.reason or error})") from None
    return pem


def refuse_foreign_authorities(environ: Mapping[str, str]) -> None:
    """Return when nobody else decides which authorities the variables of OpenSSL in *environ* name.

    What is not there is judged by its place alone: OpenSSL passes over it, and reads it when it has come.

    Raises:
        ForeignFileError: Somebody else does; the message goes on from the name of the file or directory.
    """
    named = {FILE_VARIABLE: [environ.get(FILE_VARIABLE, "")]}
    named[DIRECTORY_VARIABLE] = environ.get(DIRECTORY_VARIABLE, "").split(os.pathsep)
    for variable, places in named.items():
        for place in filter(None, places):
            try:
                _refuse_foreign_authority(Path(place))
            except ForeignFileError as error:
                raise ForeignFileError(Path(place), f"is named by {variable}, but {error.strerror}") from None
            except (OSError, ValueError):
                continue


def _refuse_foreign_authority(place: Path) -> None:
    try:
        # Files in a directory are taken by their names.
        refuse_foreign(place, refuse_foreign_place(place), ours_alone=True)
    except ForeignFileError:
        raise
    except FileNotFoundError as error:
        refuse_open_vacancy(place, error)


def _why_none(data: bytes, text: str) -> str:
    if data.startswith(_DER):
        return (
            "holds no PEM certificates: it seems to be binary (DER, PKCS #7 or PKCS #12), and text is meant: "
            "`openssl x509 -inform der -in FILE -out FILE.pem` makes it of DER"
        )
    if (other := _OTHER.search(text)) is not None:
        return f"holds no PEM certificates, but {other[1].lower()}; expected -----BEGIN CERTIFICATE-----"
    return "holds no PEM certificates; expected -----BEGIN CERTIFICATE----- and what follows it"
