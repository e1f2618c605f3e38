"""The one exception of this package, and the hint that comes with most of its messages."""

import difflib
from collections.abc import Iterable


class SpecError(ValueError):
    """A net, solver or setting that makes no sense. The message is one line: what is wrong, where, and the mend."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'stride'?"`, or "" where nothing known is near `name`."""
    folded = {candidate.lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean '{folded[close[0]]}'?" if close else ""
