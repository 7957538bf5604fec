"""Suites, sets and cases.  Source: server 2.2."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from lava.server.models import TestJob

OUTCOMES = {"pass": 0, "fail": 1, "skip": 2, "unknown": 3}
OUTCOME_NAMES = {number: name for name, number in OUTCOMES.items()}
_TEXTS = [(0, "Test passed"), (1, "Test failed"), (2, "Test skipped"), (3, "Unknown outcome")]


class TestSuite(models.Model):
    """The results of one test definition, or of the job's own actions (``lava``)."""

    __test__ = False

    job = models.ForeignKey(TestJob, models.CASCADE, related_name="suites")
    name = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "name"], name="one_suite_per_name")]

    def __str__(self) -> str:
        return self.name


class TestSet(models.Model):
    """A group of cases within a suite."""

    __test__ = False

    suite = models.ForeignKey(TestSuite, models.CASCADE, related_name="sets")
    name = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["suite", "name"], name="one_set_per_name")]

    def __str__(self) -> str:
        return self.name


class TestCase(models.Model):
    """One result.  The same name may come several times: attempts, loops."""

    __test__ = False

    name = models.TextField()
    suite = models.ForeignKey(TestSuite, models.CASCADE, related_name="cases")
    test_set = models.ForeignKey(TestSet, models.CASCADE, null=True, blank=True, related_name="cases")
    result = models.PositiveSmallIntegerField(choices=_TEXTS)
    measurement = models.DecimalField(max_digits=30, decimal_places=10, null=True, blank=True)
    units = models.TextField(blank=True, default="")
    #: the record as it was logged, in YAML
    metadata = models.TextField(blank=True, default="")
    start_log_line = models.PositiveBigIntegerField(null=True, blank=True)
    end_log_line = models.PositiveBigIntegerField(null=True, blank=True)
    logged = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["suite", "id"], name="cases_of_suite")]

    def __str__(self) -> str:
        return self.name

    @property
    def outcome(self) -> str:
        """``pass``, ``fail``, ``skip`` or ``unknown``."""
        return OUTCOME_NAMES[self.result]
