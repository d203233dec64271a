"""TLS: why the other side's certificate was refused, and what to do about that."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

_TIMES: Final = "have its operator renew it, and look at the clocks"
_NAMES: Final = "the address has to be a name that stands in it: check both with its operator"
_AUTHORITY: Final = "set ca_file to its authority, as its operator gives it to you"
_REMEDIES: Final[Mapping[int, str]] = {  # by what OpenSSL calls X509_V_ERR_…
    **dict.fromkeys((9, 10), _TIMES),
    **dict.fromkeys((62, 64), _NAMES),
    **dict.fromkeys((2, 18, 19, 20, 21), _AUTHORITY),
}


def certificate_refused(failure: BaseException) -> str:
    """Why the other side's certificate was refused; "" if it was not."""
    refusal = _refusal(failure)
    return "" if refusal is None else refusal.verify_message


def certificate_remedy(failure: BaseException) -> str:
    """The same, with what to do about it; "" if it was not refused."""
    refusal = _refusal(failure)
    if refusal is None:
        return ""
    remedy = _REMEDIES.get(refusal.verify_code, "have its operator get another one")
    return f"its certificate is refused ({refusal.verify_message}): {remedy}"


def _refusal(failure: BaseException) -> ssl.SSLCertVerificationError | None:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
