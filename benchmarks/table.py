"""The table that a run ends with: every figure beside its goal, in Markdown, so that it can be kept as it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure, and the least or the most that it should be."""

    mode: str
    what: str
    value: float
    unit: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def goal(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}{self.unit}"
        return "" if self.most is None else f"≤ {self.most:g}{self.unit}"

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.least is not None:
            return self.value >= self.least
        return None if self.most is None else self.value <= self.most

    def __str__(self) -> str:
        goal = f" (goal {self.goal})" if self.goal else ""
        return f"{self.what}: {self.value:.3g}{self.unit}{goal}"


class Table:
    """What was measured so far."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        print(figure, flush=True)

    def find(self, mode: str, what: str) -> float | None:
        return next((one.value for one in self.figures if (one.mode, one.what) == (mode, what)), None)

    def __str__(self) -> str:
        words = {True: "yes", False: "no", None: ""}
        rows = [(one.mode, one.what, f"{one.value:.3g}{one.unit}", one.goal, words[one.is_met]) for one in self.figures]
        lines = [("mode", "what", "measured", "goal", "met"), ("---",) * 5, *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
