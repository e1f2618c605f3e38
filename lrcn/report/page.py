"""Makes the page: sections, each of a template of its own; one that its files do not allow is left out and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from markupsafe import Markup

from data_prep import DataError
from data_prep.whole_files import write_text
from lrcn.report import activity, nets, sentences, sources, tables, training
from lrcn.report.sources import Outcome, Sources, fit
from lrcn.results import palette
from lrcn.training.run import TrainError
from prototxt_gen import SpecError

SECTIONS = {  # of a task: what its results say, and how that is shown
    "activity": (activity.section, "activity.html"),
    "caption": (sentences.section, "sentences.html"),
    "video": (sentences.section, "sentences.html"),
}
# What reading makes of a file of another's, or of one that was cut short.
AMISS = (KeyError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError, TemplateError)


def write_report(paths: Sequence[Path], out: Path) -> list[str]:
    """Writes the page of what lies at `paths` (`sources.read`) into the file `out`, whole or not at all. Gives what was
    left out, a line each. Raises ResultsError where there is nothing to show, and DataError for a full disk."""
    page = Page(sources.read(paths))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page.text())
    return page.left_out


class Page:
    """The page of these sources."""

    def __init__(self, read: Sources) -> None:
        self.sources, self.left_out = read, list(read.left_out)

    def text(self) -> str:
        chapters = [self._chapter(number, outcome) for number, outcome in enumerate(self.sources.outcomes)]
        published = self._part("the tables", "tables.html", tables.section, self.sources)
        return self._templates.get_template("report.html").render(
            chapters=chapters, published=published, left_out=self.left_out
        )

    def _chapter(self, number: int, outcome: Outcome) -> dict[str, Any]:
        """One experiment: what was evaluated, what came out, the trainings, the nets."""
        name, folder = outcome.name, fit(str(outcome.folder))
        if [each.name for each in self.sources.outcomes].count(name) > 1:  # of several seeds, say
            name = f"{name} ({folder})"
        chapter = {"id": f"run-{number}", "name": name, "folder": folder}
        about = [
            self._part(chapter["folder"], "conditions.html", training.conditions, each) for each in outcome.results
        ]
        card, measured = self._measured(chapter, outcome)
        trainings = [self._part(str(run.folder), "training.html", training.section, run) for run in outcome.runs]
        drawn = self._part(f"{chapter['folder']}, its nets", "nets.html", nets.section, outcome.runs)
        parts = {"": [*about, measured], "Trainings": trainings, "The nets": [drawn]}
        return chapter | {"short": card, "parts": {title: each for title, each in parts.items() if any(each)}}

    def _measured(self, chapter: Mapping[str, Any], outcome: Outcome) -> tuple[Markup, Markup]:
        """What the first of its results says, in short and at length; without the examples where these are not what
        they should be."""
        folder, results = chapter["folder"], outcome.results[0] if outcome.results else None
        conditions = self._tried(folder, training.in_short, results) if results else None
        if results is None or results["task"] not in SECTIONS:
            return self._card(chapter, conditions, None), Markup("")
        make, template = SECTIONS[results["task"]]
        for examples in [outcome.examples, None] if outcome.examples else [None]:
            name = f"{folder}, {'results' if examples is None else 'examples'}"
            content = self._tried(name, make, results, examples)
            if content is not None:
                content |= {"id": chapter["id"]}
                card, measured = self._card(chapter, conditions, content), self._part(name, template, dict, content)
                if card and measured:
                    return card, measured
        return self._card(chapter, conditions, None), Markup("")

    def _card(self, chapter: Mapping[str, Any], conditions: Any, content: Any) -> Markup:
        """An experiment in short."""
        about = {**chapter, "conditions": [conditions] if conditions else [], "content": content}
        return self._part(chapter["folder"], "short.html", dict, about)

    def _part(self, name: str, template: str, make: Callable[..., Any], *sources: Any) -> Markup:
        """A part of the page; empty where its files do not allow it."""

        def rendered() -> Markup:
            return Markup(self._templates.get_template(template).render(it=make(*sources)))

        return self._tried(name, rendered) or Markup("")

    def _tried(self, name: str, make: Callable[..., Any], *sources: Any) -> Any:
        """What `make` gives; None, and a note, where the files that it reads do not allow it."""
        try:
            return make(*sources)
        except (TrainError, SpecError, DataError, OSError) as error:
            self.left_out.append(f"{fit(name)}: {fit(str(error))}")
        except AMISS as error:
            reason = fit(f"{type(error).__name__}: {error}")[:120]
            self.left_out.append(f"{fit(name)}: not what lrcn writes ({reason})")
        return None

    @cached_property
    def _templates(self) -> Environment:
        made = Environment(
            loader=PackageLoader("lrcn.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters["title_of"] = palette.title
        made.filters["or_dash"] = lambda value: "–" if value is None else value
        made.filters["two"] = lambda value: "-" if value is None else f"{value:.2f}"
        return made
