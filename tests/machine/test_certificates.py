"""Bundles of certificates as they are found, and what is said of certificates that are refused."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.atlas.errors import NotSentError, translate
from orchestrator.machine.certificates import pem_certificates

HOST = "atlas.example.com"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A CA as it has to be."""
    return trustme.CA()


def pem_of(authority: trustme.CA) -> bytes:
    """Its certificate."""
    return authority.cert_pem.bytes()


@pytest.mark.parametrize(
    "dressed",
    [
        lambda pem: "# Société Générale, CA élève\n".encode() + pem,
        lambda pem: "# Müller\n".encode("latin-1") + pem + b"# Ende \xfc\n",
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: pem.decode().encode("utf-16"),
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: b"subject=CN = x\n\n" + pem + b"\n-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_bundle_is_read_whatever_stands_around_its_certificates(
    authority: trustme.CA, dressed: Callable[[bytes], bytes]
) -> None:
    """Comments in any encoding, marks and line ends of Windows."""
    pem = pem_certificates(dressed(pem_of(authority)))
    assert ssl.PEM_cert_to_DER_cert(pem) == ssl.PEM_cert_to_DER_cert(pem_of(authority).decode())


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda pem: ssl.PEM_cert_to_DER_cert(pem.decode()), "binary (DER, PKCS #7 or PKCS #12), and text is meant"),
        (lambda _: b"-----BEGIN PKCS7-----\nMAAA\n-----END PKCS7-----\n", "but pkcs7; expected -----BEGIN CERTIFICATE"),
        (lambda _: b"-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n", "but private key; expected"),
        (lambda pem: pem.replace(b"M", b"A"), "holds a certificate that cannot be read"),
        (lambda _: b"", "expected -----BEGIN CERTIFICATE-----"),
        (lambda _: b"hello \xff", "expected -----BEGIN CERTIFICATE-----"),
    ],
)
def test_what_is_no_bundle_is_told_what_it_is(authority: trustme.CA, made: Callable[[bytes], bytes], why: str) -> None:
    """Binary forms with the command that converts them."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are looked at below
        pem_certificates(made(pem_of(authority)))
    assert why in str(refused.value)


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class OwnCa:
    """A CA that leaves out what is asked."""

    def __init__(self, *, key_identifier: bool = True, is_ca: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Old CA")])
        self.cert = self._signed(self.name, self.key.public_key(), is_ca=is_ca, identifier=key_identifier)

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        is_ca: bool,
        identifier: bool,
        host: str | None = None,
        begins: datetime = NOW - DAY,
        ends: datetime = NOW + DAY,
    ) -> x509.Certificate:
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if is_ca:
            usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
            made = made.add_extension(x509.KeyUsage(**usage), critical=True)
        if identifier:
            made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            made = made.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        if host:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def pem(self) -> str:
        """Its own certificate."""
        return self.cert.public_bytes(serialization.Encoding.PEM).decode()

    def server(
        self, directory: Path, host: str = HOST, begins: datetime = NOW - DAY, ends: datetime = NOW + DAY
    ) -> ssl.SSLContext:
        """The context of a server with a certificate of this CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        cert = self._signed(name, key.public_key(), is_ca=False, identifier=True, host=host, begins=begins, ends=ends)
        file = directory / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + cert.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def said_of(server: ssl.SSLContext, trusted: str | None, *, strict: bool = False) -> str:
    """What a client says that trusts *trusted* and meets *server*; *strict* as Python 3.13 is by itself."""
    client = ssl.create_default_context()
    if strict:
        client.verify_flags |= ssl.VERIFY_X509_STRICT
    if trusted is not None:
        client.load_verify_locations(cadata=trusted)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                said = translate(error, method="GET", path="/x", clean=str)
                assert isinstance(said, NotSentError)
                return str(said)
    return "trusted"


def test_each_fault_of_a_certificate_has_its_own_advice(tmp_path: Path) -> None:
    """Expired, not yet valid, of another host, of an unknown issuer: a CA file helps with the last alone."""
    own, other = OwnCa(), OwnCa()
    assert said_of(own.server(tmp_path), own.pem()) == "trusted"
    expired = said_of(own.server(tmp_path, begins=NOW - 3 * DAY, ends=NOW - DAY), own.pem())
    early = said_of(own.server(tmp_path, begins=NOW + DAY, ends=NOW + 2 * DAY), own.pem())
    elsewhere = said_of(own.server(tmp_path, host="other.example.com"), own.pem())
    unknown = said_of(own.server(tmp_path), other.pem())
    nobody = said_of(own.server(tmp_path), None)
    assert "has expired: whoever runs the server renews it" in expired
    assert "is not valid yet: this machine's clock is most likely behind" in early
    assert "is for another host: correct the host in `atlas.base_url`" in elsewhere
    for said in (unknown, nobody):
        assert (
            "nobody known here vouches for the server's certificate: name the CA that has signed it in `atlas.ca_file`"
            in said
        )
    for said in (expired, early, elsewhere):
        assert "atlas.ca_file" not in said


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (66, "too weak for this machine's OpenSSL"),
        (67, "too weak for this machine's OpenSSL"),
        (68, "too weak for this machine's OpenSSL"),
        (26, "is not made for servers"),
        (47, "may not vouch for its name (nameConstraints): whoever runs the server"),
        (48, "may not vouch for its name (nameConstraints): whoever runs the server"),
        (0, "whoever runs the server"),
    ],
)
def test_what_no_ca_file_mends_is_not_said_to_be_mended_by_one(code: int, advice: str) -> None:
    """A weak key, another purpose, a name that its CA may not vouch for, and what we know nothing of."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: EE certificate key too weak")
    error.verify_code = code
    said = str(translate(error, method="GET", path="/x", clean=str))
    assert advice in said
    assert "name its CA" not in said
    assert "EE certificate key too weak" in said


def test_a_ca_without_key_identifiers_is_told_as_what_it_is(tmp_path: Path) -> None:
    """Python 3.13 is strict, and its own words say neither which certificate is meant nor what to do."""
    old = OwnCa(key_identifier=False)
    assert "the CA that has signed the server's certificate lacks its key identifiers" in said_of(
        old.server(tmp_path), old.pem(), strict=True
    )


def test_a_signer_that_is_no_ca_is_told_as_that(tmp_path: Path) -> None:
    """Another CA is needed, or this one made again."""
    said = said_of(OwnCa(is_ca=False).server(tmp_path), OwnCa(is_ca=False).pem())
    assert "nobody known here vouches" in said
    odd = OwnCa(is_ca=False)
    assert "is not made as a CA's has to be" in said_of(odd.server(tmp_path), odd.pem())


@pytest.mark.parametrize("space", ["\x85", "\xa0", "\u2028"])
def test_a_space_that_is_none_of_ascii_makes_no_certificate(space: str) -> None:
    """OpenSSL takes ASCII alone, whatever encoding the file has."""
    text = f"-----BEGIN CERTIFICATE-----{space}\nMIIB\n-----END CERTIFICATE-----\n"
    with pytest.raises(ValueError, match="holds no PEM certificates"):
        pem_certificates(b"\xff\xfe" + text.encode("utf-16-le"))
