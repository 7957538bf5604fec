"""Signing in, tokens, and the help for programs."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from lava.server.api.xmlrpc.registry import METHODS
from lava.server.models import AuthToken

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


def test_a_user_signs_in_and_out(client: Client, user: User) -> None:
    answer = client.post(LOGIN, {"username": "user", "password": "secret of user", "next": "/scheduler/myjobs"})
    assert (answer.status_code, answer["Location"]) == (302, "/scheduler/myjobs")
    assert client.get("/accounts/logout/").status_code == 405, "a link of another site must sign nobody out"
    assert client.get("/me/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/me/")["Location"] == f"{LOGIN}?next=/me/"


def test_a_wrong_password_says_nothing_about_the_name(client: Client, user: User) -> None:
    User.objects.create_user("gone", password="right", is_active=False)
    pages = [
        client.post(LOGIN, {"username": name, "password": word})
        for name, word in (("user", "wrong"), ("nobody", "wrong"), ("gone", "right"))
    ]
    texts = {re.sub(r'value="[^"]*"', "", page.content.decode()) for page in pages}
    assert len(texts) == 1
    assert "do not belong together" in texts.pop()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_signing_in_leads_to_no_other_site(client: Client, user: User, elsewhere: str) -> None:
    answer = client.post(LOGIN, {"username": "user", "password": "secret of user", "next": elsewhere})
    assert answer["Location"] == "/"


def test_a_user_makes_uses_and_deletes_tokens(client: Client, user: User) -> None:
    client.force_login(user)
    page = client.post("/api/tokens/create/", {"description": "build server"}, follow=True).content.decode()
    token = AuthToken.objects.get()
    assert (token.user, token.description) == (user, "build server")
    assert len(token.secret) == 128
    assert token.secret in page
    assert client.get("/api/tokens/").status_code == 200
    call = "<methodCall><methodName>system.whoami</methodName></methodCall>"
    header = {"Authorization": f"Token {token.secret}"}
    answer = Client().post("/RPC2", call, content_type="text/xml", headers=header)
    assert "<string>user</string>" in answer.content.decode()
    page = client.post(f"/api/tokens/{token.pk}/delete/", follow=True).content.decode()
    assert "The token is deleted" in page
    assert not AuthToken.objects.exists()


def test_tokens_of_others_are_out_of_reach(client: Client, user: User, other: User) -> None:
    token = AuthToken.objects.create(user=other)
    client.force_login(user)
    assert token.secret not in client.get("/me/").content.decode()
    assert client.post(f"/api/tokens/{token.pk}/delete/").status_code == 404
    assert AuthToken.objects.filter(pk=token.pk).exists()


def test_pages_with_secrets_are_kept_by_nobody(client: Client, user: User) -> None:
    client.force_login(user)
    assert "no-store" in client.get("/me/")["Cache-Control"]


@pytest.mark.parametrize("address", ["/api/tokens/create/", "/api/tokens/1/delete/"])
def test_tokens_change_by_ones_own_form_only(user: User, address: str) -> None:
    AuthToken.objects.create(pk=1, user=user)
    client = Client(enforce_csrf_checks=True)
    assert client.get(address).status_code == 405
    client.force_login(user)
    assert client.post(address).status_code == 403
    assert AuthToken.objects.count() == 1


def test_a_user_changes_the_password(client: Client, user: User) -> None:
    client.force_login(user)
    change = {"old_password": "secret of user", "new_password1": "a longer secret", "new_password2": "a longer secret"}
    assert client.post("/accounts/password_change/", change | {"new_password2": "other"}).status_code == 200
    assert client.post("/accounts/password_change/", change)["Location"] == "/me/"
    assert Client().login(username="user", password="a longer secret")


def test_the_help_lists_every_method(client: Client) -> None:
    page = client.get("/api/help/").content.decode()
    for name, method in METHODS.items():
        assert f'id="{name}"' in page
        assert method.help.split("``")[0].split("'")[0] in page
    assert "``" not in page
    assert "http://testserver/RPC2" in page


def test_crawlers_are_kept_out_of_what_is_large(client: Client) -> None:
    lines = client.get("/robots.txt").content.decode().splitlines()
    assert {"Disallow: /scheduler/", "Disallow: /results/", "Disallow: /api/"} < set(lines)
