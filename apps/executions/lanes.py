"""Which lane an execution waits in, and among whom turns are taken there; so that nobody's flood starves the rest.

People's own requests have a lane that is served first; what asks for certain workers has a lane for each selector,
which only workers with those labels listen to. In a lane each rule, or each person, takes its turn.
"""

from __future__ import annotations

from apps.executions.models import Execution

QUEUE = "executions"
PEOPLE = f"{QUEUE}.people"
USUAL = (PEOPLE, QUEUE)  # what every worker listens to
COLUMNS = ("id", "rule_ref", "requested_by_id", "worker_selector")  # what says the lane and the turn


def lane_of(execution: Execution) -> str:
    """The lane that this waiting execution's hint goes to."""
    if execution.worker_selector:
        return lane_for(execution.worker_selector)
    return PEOPLE if execution.requested_by_id else QUEUE


def lane_for(selector: str) -> str:
    """The lane of what asks for workers with these labels."""
    return f"{QUEUE}:{selector}"


def selector_of(lane: str) -> str:
    """The labels that workers of this lane have; empty for those that everybody listens to."""
    return "" if lane in USUAL else lane.removeprefix(lane_for(""))


def flow_of(execution: Execution) -> str:
    """Who takes turns with others in that lane: a person, or a rule."""
    return f"user {execution.requested_by_id}" if execution.requested_by_id else execution.rule_ref
