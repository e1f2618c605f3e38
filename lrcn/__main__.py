"""The program `lrcn`, and `python -m lrcn`."""

import _signal  # type: ignore[import-not-found]  # of C: what `signal` brings takes long enough for a Ctrl-C

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until `end_at_once`: no traceback

import os
import sys
from contextlib import suppress

from lrcn import signals

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # of this code


def main() -> None:
    signals.end_at_once()
    _open_standard_streams()
    _import_nothing_from_here()
    from lrcn.cli import main as run  # after what makes it safe

    try:
        run()
    except KeyboardInterrupt:  # it came as the command's end was being told
        status, line = signals.told()
        print(line, file=sys.stderr)
        os._exit(status)


def _open_standard_streams() -> None:
    """A stream that was closed (`>&-`) goes nowhere. Else the next file that is opened takes its number, and a data set
    what a library of C says on standard error."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the first number that is free, which is this one
            os.set_inheritable(number, True)
            if getattr(sys, name) is None:
                setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))


def _import_nothing_from_here() -> None:
    """`python -m` puts the current folder first among those that Python imports from, and PYTHONPATH's empty entries
    mean it: a json.py of the user's would be taken, here and by what this process begins."""
    stated = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    with suppress(FileNotFoundError):  # the current folder is gone
        relative = {os.getcwd(), *(os.path.abspath(entry) for entry in stated)} - {ROOT, *stated} | {""}
        sys.path[:] = [entry for entry in sys.path if entry not in relative]
    if "PYTHONPATH" in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(os.path.isabs, stated))


if __name__ == "__main__":
    main()
