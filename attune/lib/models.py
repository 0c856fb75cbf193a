"""What several rooms' tables share; abstract, without a table of its own."""

from django.db import models


class Timestamped(models.Model):
    """A row that knows when it was made and last changed."""

    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
