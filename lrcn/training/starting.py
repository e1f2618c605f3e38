"""With what trainings start: which layers a file of weights fills, which stay random, which clash. Said before anything
starts, and refused where a file fills nothing, or where a frozen layer would stay as no training made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from lrcn.activity import clip_settings
from lrcn.training import pretrained
from lrcn.training.run import TrainError
from lrcn.training.tasks import task_of
from lrcn.training.workspace import Start, Training, Workspace
from prototxt_gen import weights as weight_files
from prototxt_gen.weights import Start as Filling


def filled_by(work: Workspace, trainings: Sequence[Training], start: Start, given: Mapping[str, Path]) -> list[str]:
    """What the user's weights, and the stages that are given trained, fill of the nets that are to be trained, a line
    each; [] without either. given: files by the stage's folder.

    Raises TrainError where a file fills nothing of a net that starts from it, or leaves a frozen layer as it is, and
    SpecError for what is no file of weights.
    """
    here = {training.run.folder: training for training in trainings}
    lines = [_identity(path) for path in dict.fromkeys([*filter(None, [start.weights]), *given.values()])]
    for training in trainings:
        before, files = training.stage.start, files_of(training, start, given)
        fillings = [_filling(training, file) for file in files if file in (start.weights, *given.values())]
        from_stage = set()
        if before and before not in given:
            from_stage = _layers_of(work, training, here)
        for filling in fillings:
            others = from_stage.union(*(other.filled for other in fillings if other is not filling))
            if filling.path == str(start.weights) or not training.run.done:  # a run that was begun so goes on
                _check(training, filling, others)
            lines += _lines(training, filling, from_stage, others)
    return lines


def files_of(training: Training, start: Start, given: Mapping[str, Path]) -> list[Path]:
    """What a training starts from, later ones over earlier; a stage that is trained here by its folder."""
    before = training.stage.start
    path = given.get(before, Path(before)) if before else None
    return task_of(training.variant).starting_weights(path, start.weights)


def _filling(training: Training, path: Path) -> Filling:
    return weight_files.start(
        training.files["train_test"],
        path,
        training.files["solver"].train_state.stage,
        inputs=training.variant.input_shapes(**training.settings)["train"],
        python=clip_settings.top_shapes,
    )


def _check(training: Training, filling: Filling, others: set[str]) -> None:
    """TrainError where a file of the user's comes to nothing. others: layers that are filled from elsewhere."""
    name, hint = training.variant.name, pretrained.hint(training.variant)
    if not filling.filled:
        layers = ", ".join([*filling.clashing, *filling.unused][:8])
        raise TrainError(
            f"{filling.path}: holds no layer that fits {name} (it holds {layers}); is it another backbone's?{hint}"
        )
    if still := [layer for layer in filling.frozen if layer not in others]:
        why = filling.clashing.get(still[0], "the file has no such layer")
        raise TrainError(
            f"{filling.path}: has nothing for {', '.join(still)} of {name} ({still[0]}: {why}), which stay as they are "
            f"in this training; give weights of its CNN, backbone {training.settings['backbone']}{hint}"
        )


def _lines(training: Training, filling: Filling, from_stage: set[str], others: set[str]) -> list[str]:
    """What a file fills; [] where the stage that the training starts from has all of it."""
    if set(filling.filled) <= from_stage:
        return []
    clashing = [layer for layer in filling.clashing if layer not in others]
    afresh = [layer for layer in filling.random if layer not in others]
    afresh += [f"{layer} (of another shape in the file)" for layer in clashing]
    lines = [f"  {training.stage.folder} takes {', '.join(filling.filled)} of {Path(filling.path).name}"]
    if afresh:
        lines.append(f"  and starts afresh with {', '.join(afresh)}")
    if clashing:
        hint = pretrained.hint(training.variant)
        lines.append(f"  layers of another shape mean another backbone or other sizes{hint and ':' + hint}")
    return lines


def _layers_of(work: Workspace, training: Training, here: Mapping[Path, Training]) -> set[str]:
    """The layers that a training has from the stage that it starts from, which may not be trained yet, or anew. here:
    what is trained, by the run's folder."""
    run, iteration = work.start_of(training.stage, training.split), training.stage.start_at
    if run is None:
        return set()
    try:
        file = run.weights_at(iteration)
        return {name for name, blobs in weight_files.read_weights(file).layers if blobs}
    except TrainError:
        if (before := here.get(run.folder)) is None:
            raise
    return {row.layer.name for row in before.net.rows if row.weights}


def _identity(path: Path) -> str:
    weight_files.check_finite(path)  # says in one line what is wrong with it
    sha1 = hashlib.sha1()
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            sha1.update(piece)
    which = f", BVLC's {pretrained.CAFFENET.file}" if sha1.hexdigest() == pretrained.CAFFENET.sha1 else ""
    return f"weights: {path}: {path.stat().st_size / 1e6:.1f} MB, SHA-1 {sha1.hexdigest()}{which}"
