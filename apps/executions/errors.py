"""What can be wrong with asking for an execution, or with a policy."""

from attune.lib.errors import Conflict, InvalidInput


class ActionDisabled(Conflict):
    """The action, or its pack, is switched off."""

    code = "action_disabled"


class ExecutionOver(Conflict):
    """It is finished; what is over cannot be changed."""

    code = "execution_over"


class NotWaiting(Conflict):
    """It is under way or over; only what waits can be handed to a worker."""

    code = "not_waiting"


class ParametersInvalid(InvalidInput):
    """Parameters that the action's schema refuses."""

    code = "invalid_parameters"


class PermissionSetUnknown(InvalidInput):
    """A permission set that there is not here."""

    code = "permission_set_unknown"


class EnvironmentRefused(InvalidInput):
    """An environment variable that a caller may not set."""

    code = "env_var_refused"


class WorkerGone(Conflict):
    """The worker has stopped, or gives no sign of life."""

    code = "worker_gone"


class ChainTooDeep(Conflict):
    """Too many executions led to it, one after the other: most likely they go round in a circle."""

    code = "chain_too_deep"


class KeyInUse(InvalidInput):
    """An idempotency key under which something else was asked before."""

    code = "idempotency_key_in_use"


class PolicyInvalid(InvalidInput):
    """A policy that could not work; `details.faults` names each fault with its path."""

    code = "invalid_policy"


class PolicyReadOnly(Conflict):
    """The policy came with its pack's files and is changed there."""

    code = "policy_read_only"


class PolicyRefTaken(Conflict):
    """Another policy has this ref."""

    code = "ref_taken"


class IsolationUnavailable(Conflict):
    """What keeps an action from the rest of the machine is asked for, and cannot be had here."""

    code = "isolation_unavailable"
