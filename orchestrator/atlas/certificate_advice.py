"""What is wrong with a certificate that cannot be verified, and who can do what about it."""

from __future__ import annotations

from .connector import ProxyCertificateError

_EXPIRED, _NOT_YET, _REVOKED = 10, 9, 23  # X509_V_ERR_... of openssl/x509_vfy.h
_OTHER_HOST = frozenset({62, 64})
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
# It may not sign, or not as it is made.
_NO_AUTHORITY = frozenset({24, 37, 79, 80, 81, 82, 83, 84, 89, 90, 91, 92, 93, 94})
_NO_KEY_IDENTIFIER = frozenset({85, 86})
_TOO_WEAK = frozenset({66, 67, 68})
_NOT_FOR_SERVERS = 26
_NAME_NOT_PERMITTED = frozenset({47, 48})


def advice_on_certificate(error: Exception) -> str:
    """What is wrong with the certificate that *error* is about, whose it is, and who can do what about it."""
    who, setting, between = "the server", "`atlas.base_url`", ", or the proxy that opens TLS,"
    if isinstance(error, ProxyCertificateError):
        who, setting, between = "the proxy", "the proxy variable", ""
    cause = getattr(error, "certificate_error", error)
    code = getattr(cause, "verify_code", 0)
    if code == _EXPIRED:
        return (
            f"{who}'s certificate, or one of those that vouch for it, has expired: whoever runs {who} renews it, unless "
            "this machine's clock is ahead (`date -u`)"
        )
    if code == _NOT_YET:
        return f"{who}'s certificate is not valid yet: this machine's clock is most likely behind (`date -u`)"
    if code in _OTHER_HOST:
        return (
            f"{who}'s certificate is for another host: correct the host in {setting}, or find out who answers in its "
            "place. No CA helps"
        )
    if code in _UNKNOWN_ISSUER:
        whose = " (where a proxy opens TLS, that is the proxy's CA)" if between else ""
        return f"nobody known here vouches for {who}'s certificate: name the CA that has signed it in `atlas.ca_file`{whose}"
    if code in _NO_KEY_IDENTIFIER:
        return (
            f"the CA that has signed {who}'s certificate lacks its key identifiers (RFC 5280, section 4.2.1), which Python 3.13 and newer "
            "ask for: have the CA made again with them (`subjectKeyIdentifier=hash`, `authorityKeyIdentifier=keyid`), or use Python 3.12"
        )
    if code in _NO_AUTHORITY:
        return (
            f"the certificate that has signed {who}'s is not made as a CA's has to be (basicConstraints, keyUsage; Python 3.13 and newer look closer): have it "
            "made again, or name another CA in `atlas.ca_file`"
        )
    if code in _NAME_NOT_PERMITTED:
        return (
            f"one of those that vouch for {who}'s certificate may not vouch for its name (nameConstraints): whoever runs {who}{between} gets "
            "one from a CA that may"
        )
    if code == _REVOKED:
        return f"{who}'s certificate was revoked: whoever runs {who} has to replace it"
    if code in _TOO_WEAK:
        return (
            f"{who}'s certificate, or one of those that vouch for it, has a key or a signature that is too weak for this machine's OpenSSL "
            f"(RSA of less than 2048 bits, SHA-1): whoever runs {who}{between} has it made again"
        )
    if code == _NOT_FOR_SERVERS:
        return f"{who}'s certificate is not made for servers (extendedKeyUsage): whoever runs {who} has it made again"
    return f"{who}'s certificate could not be verified: ask whoever runs {who}{between} with these words"
