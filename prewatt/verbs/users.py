"""Who may use the console, and in which roles."""

import sys
from typing import Annotated

import typer

from prewatt.errors import Usage
from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "operate"
group = typer.Typer(no_args_is_help=True, help=__doc__)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Roles = Annotated[
    list[str] | None, typer.Option("--role", help="viewer, operator, approver, finance, field, admin; may be repeated.")
]


@group.command("list")
def list_users(home: HomeOption = None, output: FormOption = None) -> None:
    """List the users with their roles."""
    from prewatt.lookup import config_of
    from prewatt.people import People

    known = People(config_of(home).home.secrets).everybody()
    rows = [
        {"name": u.name, "roles": list(u.roles), "disabled": u.disabled, "must_change": u.must_change}
        for u in known.values()
    ]
    emit(Result("users list", {"users": rows}, rows="users"))


@group.command()
def add(name: Name, role: Roles = None, home: HomeOption = None, output: FormOption = None) -> None:
    """Add a user; the first password is asked for (or read from standard input) and must be changed at the login."""
    from prewatt.doing import do
    from prewatt.people import named, roles_of

    named(name)
    emit(Result("users add", do(home, "users.add", name=name, roles=list(roles_of(role or [])), password=_password())))


@group.command()
def roles(name: Name, role: Roles = None, home: HomeOption = None, output: FormOption = None) -> None:
    """Give a user other roles; sessions end."""
    from prewatt.doing import do
    from prewatt.people import roles_of

    emit(Result("users roles", do(home, "users.add", name=name, roles=list(roles_of(role or [])))))


@group.command()
def password(name: Name, home: HomeOption = None, output: FormOption = None) -> None:
    """Give a user who lost theirs another first password."""
    from prewatt.doing import do

    emit(Result("users password", do(home, "users.password", name=name, password=_password())))


@group.command()
def disable(name: Name, home: HomeOption = None, output: FormOption = None) -> None:
    """Let a user in no more; sessions end at once."""
    from prewatt.doing import do

    emit(Result("users disable", do(home, "users.disable", name=name)))


@group.command()
def enable(name: Name, home: HomeOption = None, output: FormOption = None) -> None:
    """Let a disabled user in again."""
    from prewatt.doing import do

    emit(Result("users enable", do(home, "users.disable", name=name, disabled=False)))


def _password() -> str:
    """A password from the terminal, unseen, or one line of standard input; only its scrypt goes on."""
    import getpass

    from prewatt.people import scrypt

    if sys.stdin.isatty():
        first, again = getpass.getpass("first password: "), getpass.getpass("once more: ")
        if first != again:
            raise Usage("the two differ", attempt="once more")
        return scrypt(first)
    return scrypt(sys.stdin.readline().rstrip("\r\n"))
