"""What can be wrong with an event or a rule."""

from attune.lib.errors import AttuneError, Conflict, InvalidInput, NotFound


class UnknownTrigger(NotFound):
    """No such trigger."""

    code = "unknown_trigger"


class TriggerDisabled(Conflict):
    """The trigger, or its pack, is switched off; events of it are refused."""

    code = "trigger_disabled"


class KeyInUse(InvalidInput):
    """A key under which another event was sent before."""

    code = "idempotency_key_in_use"


class TriggerChanged(Conflict):
    """The trigger is no longer what the sender's side remembered of it."""

    code = "trigger_changed"


class PayloadInvalid(InvalidInput):
    """A payload that its trigger's schema refuses; `details.faults` names each path."""

    code = "invalid_payload"


class EventTooLarge(AttuneError):
    """An event of more bytes than this installation takes."""

    status_code, code = 413, "event_too_large"


class RuleInvalid(InvalidInput):
    """A rule that could not work; `details.faults` names each fault with its path."""

    code = "invalid_rule"


class BeyondRights(RuleInvalid):
    """Raised for a rule that calls an action which its saver may not run."""

    status_code, code = 403, "forbidden"


class RuleReadOnly(Conflict):
    """The rule came with its pack's files and is changed there."""

    code = "rule_read_only"


class RefTaken(Conflict):
    """Another rule has this ref."""

    code = "ref_taken"


class PausedAlready(Conflict):
    """All rules are paused; a second pause would hide the first one's reason."""

    code = "paused_already"


class NotPaused(Conflict):
    """There is no pause to end."""

    code = "not_paused"


class Overloaded(AttuneError):
    """So much waits, or so little disk is left, that no more events are taken; nothing of this one was kept."""

    status_code, code = 503, "overloaded"

    def __init__(self, message: str, *, reason: str, retry_after: int) -> None:
        super().__init__(message, details={"reason": reason, "retry_after": retry_after})
        self.reason, self.retry_after = reason, retry_after


class NoSuchRevision(NotFound):
    """A revision of a rule that the audit log does not have: there was none, or it is too long ago."""
