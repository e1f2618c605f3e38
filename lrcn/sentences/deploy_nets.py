"""The deploy nets of a net that writes sentences: do they fit each other, the weights and the vocabulary?"""

from __future__ import annotations

from pathlib import Path

from prototxt_gen import SpecError, parse
from prototxt_gen.shapes import infer
from prototxt_gen.weights import AFRESH, plan, read_weights


def read_net(net):
    if not isinstance(net, (str, Path)):
        return net
    try:
        return parse(Path(net))
    except OSError as error:
        raise SpecError(f"{net}: {(error.strerror or str(error)).lower()}") from None


def check_words(net, outputs: int, by_word: bool) -> None:
    shapes = infer(net, "TEST")
    for problem in shapes.problems:
        raise SpecError(f"{net.name}: {problem}")
    predict = shapes.blobs.get("predict")
    if predict is None or by_word and predict[0] != 1 or not any(name.endswith("_h_0") for name in shapes.blobs):
        raise SpecError(
            f"{net.name}: not a net that goes word by word; make it with deploy_steps=1 and deploy_state=exposed"
        )
    if predict[-1] != outputs:
        raise SpecError(
            f"the vocabulary has {outputs - 1} words, and so {outputs} outputs with the end of a sentence; "
            f"the net has {predict[-1]}"
        )


def check_weights(nets, weights, outputs: int | None = None) -> None:
    """Refuses weights that do not fill these nets, of a vocabulary with so many outputs. SpecError, one line."""
    given = read_weights(weights)
    for net in nets:
        entries = plan(net, given, "TEST")
        for entry in entries.clashes:
            if entry.layer in ("predict", "embedding") and entry.file and entry.file[0]:
                known = entry.file[0][-2]
                if known != outputs:
                    raise SpecError(
                        f"{weights}: made for a vocabulary of {known - 1} words and the end of a sentence; "
                        f"this one has {outputs - 1} words"
                    )
            raise SpecError(f"{weights}: does not fit {net.name}: layer '{entry.layer}': {entry.why}")
        missing = [entry.layer for entry in entries.entries if entry.status == AFRESH]
        if missing:
            raise SpecError(
                f"{weights}: has no weights for {', '.join(missing)} of {net.name}; give the .caffemodel "
                "that was trained for this net"
            )
