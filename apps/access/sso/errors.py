"""Why somebody who signs in elsewhere does not come in here, in words for them; `reason` is for the audit log."""

from __future__ import annotations

from attune.lib.errors import AttuneError


class SignOnFailed(AttuneError):
    """Raised when what came back cannot be trusted, or is not an answer to what this browser asked."""

    status_code, code = 401, "unauthorized"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class NotAdmitted(SignOnFailed):
    """Raised for somebody whom the provider knows, and who has no business here."""

    status_code, code = 403, "forbidden"


class ProviderUnavailable(SignOnFailed):
    """Raised when the provider does not answer, or not as a provider does."""

    status_code, code = 503, "service_unavailable"
