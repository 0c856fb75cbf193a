"""The doorbell of the executions room."""

import logging
from collections.abc import Iterable

import dramatiq

from apps.executions import lanes, runner
from apps.executions.models import WAITING, Execution
from attune.lib import crash

logger = logging.getLogger(__name__)

FOREVER = float("inf")


@dramatiq.actor(queue_name="executions", max_retries=0, time_limit=FOREVER)
def run_execution(execution_id: int, selector: str = "") -> None:
    """Run a waiting execution; nothing happens if it is over, another worker has it, it is not for this one, or must
    wait for a policy."""
    runner.run(execution_id, selector=selector, wake=wake)


def nudge(executions: Iterable[Execution]) -> None:
    """Ring the workers' doorbell. A broker that does not answer costs a sweep's delay, no more."""
    for execution in executions:
        selector = execution.worker_selector
        arguments = (execution.pk, selector) if selector else (execution.pk,)
        try:
            run_execution.send_with_options(
                args=arguments, lane=lanes.lane_of(execution), flow=lanes.flow_of(execution)
            )
            crash.point("after-hint")
        except Exception as error:
            logger.warning(
                "The broker did not take execution %s (%s); the next sweep will find it.", execution.pk, error
            )
            return


def wake(ids: list[int]) -> None:
    """The same, where only the numbers are known; those that no longer wait are left out."""
    if ids:
        nudge(Execution.objects.filter(pk__in=ids, status__in=WAITING).only(*lanes.COLUMNS).order_by("id"))
