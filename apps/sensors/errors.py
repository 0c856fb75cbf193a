"""What can be wrong with asking something of a sensor or at a webhook."""

from attune.lib.errors import AttuneError, Conflict, Forbidden, NotFound


class SensorDisabled(Conflict):
    """The sensor, or its pack, is switched off."""

    code = "sensor_disabled"


class TooManyRules(AttuneError):
    """A sensor's rules take more room than the operating system gives one variable."""

    status_code, code = 409, "too_many_rules"


class WebhookUnknown(NotFound):
    """No webhook has this key."""

    code = "webhook_not_found"


class WebhookDisabled(Conflict):
    """The webhook's trigger, or its pack, is switched off."""

    code = "webhook_disabled"


class NetworkRefused(Forbidden):
    """The sender's address is in none of the webhook's networks."""

    code = "network_not_allowed"


class SignatureRefused(AttuneError):
    """The signature is missing, too old, or not ours."""

    status_code, code = 401, "invalid_signature"


class BodyTooLarge(AttuneError):
    """More bytes than this webhook takes."""

    status_code, code = 413, "payload_too_large"


class ContentTypeRefused(AttuneError):
    """A body of a kind that webhooks do not read."""

    status_code, code = 415, "unsupported_media_type"


class BodyUnreadable(AttuneError):
    """The body is not what its content type says."""

    status_code, code = 400, "malformed_body"


class BodyNotAnObject(AttuneError):
    """The body is JSON, but not an object."""

    status_code, code = 422, "not_an_object"


class RateExceeded(AttuneError):
    """More deliveries in a minute than this webhook takes."""

    status_code, code = 429, "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, details={"retry_after": retry_after})
        self.retry_after = retry_after
