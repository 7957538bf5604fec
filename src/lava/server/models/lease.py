"""Which of several masters works.  Source: decision record 0010."""

from __future__ import annotations

from django.db import models


class MasterLease(models.Model):
    """One row: the master that works, until when, and how often that has changed."""

    #: machine and address of the master that works, or worked last
    holder = models.CharField(max_length=300, blank=True, default="")
    #: grows with each change; what a master does under an older one does not count
    term = models.BigIntegerField(default=0)
    expires = models.DateTimeField()

    def __str__(self) -> str:
        return f"term {self.term}: {self.holder}"
