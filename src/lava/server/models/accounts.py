"""Secrets of users.  Source: server 2.4, 14."""

from __future__ import annotations

import secrets
from typing import ClassVar

from django.contrib.auth.models import User
from django.db import models

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_token() -> str:
    """Return an API token: 128 lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(128))


class AuthToken(models.Model):
    """Lets a program speak for a user."""

    secret = models.CharField(max_length=128, unique=True, default=new_token)
    description = models.TextField(blank=True, default="")
    created_on = models.DateTimeField(auto_now_add=True)
    last_used_on = models.DateTimeField(null=True, blank=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="auth_tokens")

    def __str__(self) -> str:
        return self.description or f"token {self.pk}"


class RemoteArtifactsAuth(models.Model):
    """A named secret that jobs of the user present to other servers."""

    user = models.ForeignKey(User, models.CASCADE, related_name="remote_artifacts_tokens")
    name = models.CharField(max_length=100)
    token = models.CharField(max_length=200)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "name"], name="one_token_per_name")]

    def __str__(self) -> str:
        return self.name
