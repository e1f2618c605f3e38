"""The one exception of this package, and the hint that comes with most of its messages."""

import difflib
from collections.abc import Iterable

from readers import printable


class SpecError(ValueError):
    """A net, solver or setting that makes no sense. The message is one line: what is wrong, where, and the mend."""


MOST_HINTS = 50  # on what one file names wrongly: more are no slips
_LONGEST = 64  # letters of a name that is a slip of another


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'stride'?"`, or "" where nothing known is near `name`."""
    if len(str(name)) > _LONGEST:
        return ""
    folded = {candidate.lower(): candidate for candidate in sorted(known) if len(candidate) <= _LONGEST}
    close = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean '{folded[close[0]]}'?" if close else ""


def shortened(name: object) -> str:
    """A name or a value, as a message quotes it: on one line, and not too long for it."""
    text = printable(str(name)).replace("\n", "\\n")
    return text if len(text) <= 6 * _LONGEST else f"{text[:_LONGEST]}... ({len(text)} letters)"
