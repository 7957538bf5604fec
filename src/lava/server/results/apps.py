"""The Django application that holds test results."""

from django.apps import AppConfig


class ResultsConfig(AppConfig):
    """The label is part of permission names that existing clients use."""

    name = "lava.server.results"
    label = "lava_results_app"
    verbose_name = "Results"
    default_auto_field = "django.db.models.BigAutoField"
