"""Find the rules that an event could match at all, among many of one trigger, without weighing each. Pure.

Of what a rule's criteria demand (see `matching.necessary`), the demand that the fewest other rules share is looked up
in a dictionary. What is found is then weighed as always; what is not found would have answered False.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from apps.rules.matching import compile_criteria
from apps.rules.matching.necessary import ODD, Demand, Place, demands

Demands = tuple[Demand, ...]


def demands_of(criteria: Any) -> Demands:
    """What criteria demand of an event, whatever else they say; empty if nothing can be told."""
    return demands(compile_criteria(criteria).node)


class Index:
    """The rules of one trigger by what they demand."""

    def __init__(self, rules: Iterable[tuple[int, Demands]]) -> None:
        """`rules`: the number of each and what it demands, in the order in which they are to be weighed."""
        listed = list(rules)
        self._numbers = [number for number, _ in listed]
        shared = Counter((need.place, key) for _, needs in listed for need in needs for key in dict.fromkeys(need.keys))
        self._always: list[int] = []
        self._wary: set[Place] = set()
        by_place: dict[Place, dict[Any, list[int]]] = defaultdict(lambda: defaultdict(list))
        for at, (_, needs) in enumerate(listed):
            if not needs:
                self._always.append(at)
                continue
            best = min(range(len(needs)), key=lambda n: sum(shared[needs[n].place, key] for key in needs[n].keys))
            self._wary.update(need.place for need in needs[:best] if need.place.wary)
            for key in dict.fromkeys(needs[best].keys):
                by_place[needs[best].place][key].append(at)
        self._wary -= set(by_place)
        self._places = [(place, dict(rules)) for place, rules in by_place.items()]

    def candidates(self, context: Any) -> list[int]:
        """The numbers of the rules that have to be weighed for this event; of the others it is certain that they fail.

        `context` holds `payload`, `trigger` and `event`, as criteria see them.
        """
        found = set(self._always)
        for place, rules in self._places:
            key = place.key(context)
            if key is ODD:
                return self._numbers
            found.update(rules.get(key, ()))
        if any(place.key(context) is ODD for place in self._wary):
            return self._numbers
        return [self._numbers[at] for at in sorted(found)]
