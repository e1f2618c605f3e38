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
    _import_nothing_from_here()
    from lrcn.cli import main as run  # after what makes it safe

    try:
        run()
    except KeyboardInterrupt:  # it came as the command's end was being told
        status, line = signals.told()
        print(line, file=sys.stderr)
        os._exit(status)


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
