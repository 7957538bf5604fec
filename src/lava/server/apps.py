"""The Django application that holds the lab and its jobs."""

from django.apps import AppConfig


class LabConfig(AppConfig):
    """The label is part of permission names that existing clients use."""

    name = "lava.server"
    label = "lava_scheduler_app"
    verbose_name = "Lab"
    default_auto_field = "django.db.models.BigAutoField"
