"""`attune auth`: sign in and out; who am I."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from typing import Annotated

import typer

from attune.cli import profile
from attune.cli.errors import CommandError, Misused, NotAllowed
from attune.cli.groups import Group
from attune.cli.output import say
from attune.cli.session import Session

app = Group("Sign in and out; who am I.")


@app.command("login")
def login(
    session: Session,
    url: Annotated[str, typer.Option("--url", help="The server's address; as before, if not given.")] = "",
    name: Annotated[str, typer.Option("--login", metavar="NAME", help="Who; asked for, if not given.")] = "",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read a personal token from stdin.")] = False,
) -> None:
    """Sign in, and keep the session in the profile file.

    attune auth login --url https://attune.example.org
    attune auth login --login ada --password-stdin < password.txt
    attune auth login --profile robot --token-stdin < token.txt
    """
    before = profile.chosen(session.profile_name, must_be_there=False)
    there = replace(before, url=(url or before.url).rstrip("/"), access_token="", refresh_token="", is_kept=True)
    from attune.cli.client import Client

    if token_stdin:
        signed_in = replace(there, access_token=_line("the token"))
    else:
        who = name or _asked("Name", before.login)
        password = _line("the password") if password_stdin else _secret()
        try:
            session_of = Client(there).post("/auth/login", {"login": who, "password": password})["data"]
        except NotAllowed as error:
            raise _refused(error) from None
        signed_in = replace(there, access_token=session_of["access_token"], refresh_token=session_of["refresh_token"])
    me = Client(signed_in).get("/auth/me")["data"]
    profile.keep(replace(signed_in, login=me["login"]))
    session.output.done(f"Signed in at {there.url} as {me['login']} ({me['role']}); profile {there.name}.", me)
    if "ATTUNE_API_TOKEN" in os.environ:
        say("ATTUNE_API_TOKEN is set, and wins over the profile.")


@app.command("whoami")
def whoami(session: Session) -> None:
    """Who one is, where, and what one may do."""
    me = session.api.get("/auth/me")["data"]
    about = me | {"server": session.who.url, "profile": session.who.name}
    session.output.thing(about, ["login", "display_name", "role", "server", "profile"])


@app.command("logout")
def logout(session: Session) -> None:
    """End the session, on the server and in the profile file."""
    who = session.who
    if not who.is_kept:
        raise CommandError(
            "The token comes from the environment; there is no session to end.", hint="Do away with ATTUNE_API_TOKEN."
        )
    if not who.is_signed_in:
        say(f"You were not signed in at {who.url}.")
        return
    ended = ""
    try:
        if who.refresh_token:  # a personal token is not a session: it stays good
            session.api.post("/auth/logout")
    except NotAllowed:
        pass  # it was over already
    except CommandError as error:
        ended = f" The server was not told: {error.message}"
    profile.keep(replace(who, access_token="", refresh_token=""))
    session.output.done(f"Signed out of {who.url}; profile {who.name}.{ended}")


def _refused(error: NotAllowed) -> NotAllowed:
    said = "Name or password is wrong." if error.message.startswith("You are not") else error.message
    return NotAllowed(said, hint="Passwords are set in the admin, or with manage.py changepassword on the server.")


def _asked(what: str, default: str) -> str:
    if not sys.stdin.isatty():
        raise Misused("Nobody is at the terminal to be asked for a name.", hint="Give --login and --password-stdin.")
    return str(typer.prompt(what, default=default or None, err=True))


def _secret() -> str:
    if not sys.stdin.isatty():
        raise Misused("Nobody is at the terminal to be asked for a password.", hint="Give --password-stdin.")
    return getpass.getpass("Password: ")


def _line(what: str) -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Misused(f"Nothing came in on stdin, where {what} should be.")
    return line
