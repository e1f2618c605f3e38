"""What a shell offers on TAB: experiments, nets, settings, released weights. `_LRCN_COMPLETE=bash_source lrcn` prints
the lines that turn it on.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete, add_completion_class


def _file(incomplete: str) -> CompletionItem:
    """A file of the user's; it stands before names, because click's script for Bash forgets those that stand before."""
    return CompletionItem(incomplete, type="file")


def experiments(context, param, incomplete):
    """What `lrcn train` and `evaluate` take."""
    from lrcn.training import experiment
    from netspecs import catalogue

    names = [*experiment.names(), *catalogue.names()]
    if context.info_name == "evaluate":
        names += ["caption/results", "caption/rating-sheet"]
    return [_file(incomplete), *_beginning(names, incomplete)]


def experiment_files(context, param, incomplete):
    """The experiments that come with lrcn."""
    from lrcn.training import experiment

    return _beginning(experiment.names(), incomplete)


def nets(context, param, incomplete):
    """The nets of the catalogue."""
    from netspecs import catalogue

    return _beginning(catalogue.names(), incomplete)


def tasks(context, param, incomplete):
    """The tasks of the nets."""
    from netspecs import catalogue

    return _beginning(catalogue.tasks(), incomplete)


def nets_or_file(context, param, incomplete):
    return [_file(incomplete), *nets(context, param, incomplete)]


def settings(context, param, incomplete):
    """NAME=DEFAULT for each setting of the nets that the command line names, or of all; NAME= where their defaults
    differ."""
    from netspecs import catalogue

    defaults, helps = {}, {}
    for variant in _variants(context) or catalogue.variants():
        for name, value in variant.defaults.items():
            defaults.setdefault(name, set()).add(json.dumps(value, separators=(",", ":")).strip('"'))
            helps[name] = variant.help[name]
    begun = [name for name in defaults if name.startswith(incomplete.replace("-", "_"))]
    values = {name: defaults[name].pop() if len(defaults[name]) == 1 else "" for name in begun}
    return [CompletionItem(f"{name}={values[name]}", help=helps[name]) for name in begun]


def released_weights(context, param, incomplete):
    from lrcn.released.weights import RELEASES

    return _beginning(RELEASES, incomplete)


def data_sets(context, param, incomplete):
    from lrcn.released.data_sets import DATA_SETS

    return _beginning(DATA_SETS, incomplete)


def benchmarks(context, param, incomplete):
    from lrcn.results.benchmarks import scripts

    return _beginning(scripts(), incomplete)


def weights(context, param, incomplete):
    """Released weights that were fetched, and files."""
    from lrcn.released.weights import RELEASES

    here = [name for name, release in RELEASES.items() if release.path.is_file()]
    return [_file(incomplete), *_beginning(here, incomplete)]


def turn_on(spread: Callable[[list[str]], list[str]]) -> None:
    """spread: makes a command line as click understands it of the one that was typed."""
    for shell in (BashComplete, ZshComplete, FishComplete):
        add_completion_class(type(shell.__name__, (_AsTyped, shell), {"spread": staticmethod(spread)}))


class _AsTyped:
    """The words before the one that is completed, as click understands them."""

    def get_completion_args(self):
        args, incomplete = super().get_completion_args()
        words = _joined([*args, incomplete])
        args, incomplete = self.spread(words[:-1]), words[-1]
        if args[-2:-1] == ["--set"] and not incomplete.startswith("-"):  # one more setting after another
            args.append("--set")
        return args, incomplete


def _joined(words):
    """Bash takes words apart at "=", which stands alone then: NAME, =, VALUE."""
    joined = []
    for at, word in enumerate(words):
        if joined and (word == "=" or at and words[at - 1] == "="):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _beginning(names, incomplete):
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _variants(context):
    """The variants that a command line names so far. Where an option still waits for its value, as the one that is
    completed does, click has not given arguments their names yet."""
    from lrcn.training import experiment
    from netspecs import catalogue
    from prototxt_gen import SpecError

    chosen, params = [], context.params
    for name in filter(
        None, [*(params.get("names") or ()), params.get("experiment"), params.get("net"), *context.args]
    ):
        if name in catalogue.names():
            chosen.append(catalogue.get(name))
            continue
        try:
            chosen += [stage.variant for stage in experiment.read(name).stages]
        except (SpecError, OSError):
            continue  # a file of a net, or half a name: all settings then
    return chosen
