"""The roof's one table: counters of the whole installation, which every process adds to."""

from __future__ import annotations

from django.db import models


class Tally(models.Model):
    """A counter that only grows; see `attune.lib.tallies`."""

    name = models.CharField(max_length=100)
    labels = models.CharField(max_length=200, blank=True)  # their values, commas between
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="one_tally_of_a_name")]

    def __str__(self) -> str:
        return f"{self.name} {self.labels}: {self.value:g}"
