"""Relay commands: list them, follow one through its life, approve or cancel."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

CommandArgument = Annotated[str, typer.Argument(metavar="COMMAND")]
By = Annotated[str, typer.Option("--by", help="Who decides, as the audit names them; default: the person logged in.")]
COLUMNS = ("command", "account", "action", "state", "reason", "requested", "approvals", "outcome")


@group.command("list")
def list_commands(
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """List the commands that are live."""
    from prewatt.lookup import command_rows

    rows = command_rows(home, account=account, everything=everything)
    emit(Result("commands list", {"commands": rows}, rows="commands", columns=COLUMNS))


@group.command()
def show(command: CommandArgument, home: HomeOption = None, output: FormOption = None) -> None:
    """Show one command and every step of its life."""
    from prewatt.lookup import command_journal, command_rows

    (row,) = command_rows(home, command=command)
    emit(Result("commands show", {**row, "journal": command_journal(home, command)}, rows="journal"))


@group.command()
def approve(command: CommandArgument, by: By = "", home: HomeOption = None, output: FormOption = None) -> None:
    """Approve a disconnection that waits for a person; every guard is asked again before it leaves."""
    from prewatt.doing import do

    emit(Result("commands approve", do(home, "commands.approve", command=command, by=by)))


@group.command()
def cancel(
    command: CommandArgument,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    by: By = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Cancel a command that has not left this host."""
    from prewatt.doing import do

    emit(Result("commands cancel", do(home, "commands.cancel", command=command, reason=reason, by=by)))
