"""Turn unrated reads into money."""

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "run"


def command(home: HomeOption = None, output: FormOption = None) -> None:
    """Rate every read that is not rated yet: intervals, charges, what each account owes. Twice changes nothing."""
    from prewatt.doing import do

    emit(Result("rate", do(home, "rate"), rows="findings"))
