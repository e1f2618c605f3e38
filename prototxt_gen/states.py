"""Which layers of a net Caffe really builds for a phase, a level and some stages, and in which states it is built."""

from collections.abc import Iterable

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import SpecError, nearest


def filter_net(net: pb.NetParameter, phase: int | str, stages: Iterable[str] = (), level: int = 0) -> pb.NetParameter:
    """A copy of `net` with the layers that Caffe builds in this state, as its `Net::FilterNet` chooses them.

    A layer without rules is in. With `include` rules it is in when one of them is met, with `exclude` rules when none
    is; a layer with both is an error. A rule is met when all that it sets holds: the phase, `min_level` <= level <=
    `max_level`, every `stage` among the state's, no `not_stage` among them.

    `phase` is "TRAIN" or "TEST" (or the number); stages and level that the file's own `state` names hold too. Raises
    SpecError.
    """
    state = pb.NetState(phase=_phase(phase), level=level or net.state.level, stage=[*net.state.stage, *stages])
    kept = pb.NetParameter()
    kept.CopyFrom(net)
    del kept.layer[:]
    kept.layer.extend(layer for layer in net.layer if is_in(layer, state))
    return kept


def solver_states(solver: pb.SolverParameter, net: pb.NetParameter | None = None) -> list[pb.NetState]:
    """The states in which Caffe's solver builds nets: that of the training net, then that of each test net.

    Where the solver says nothing of stages or level, those of `net.state` hold, as in `Solver::InitTrainNet` and
    `Solver::InitTestNets`. There are as many test nets as `test_iter`s.
    """
    tests = list(solver.test_state) or [pb.NetState()] * len(solver.test_iter)
    states = []
    for phase, own in [(pb.TRAIN, solver.train_state), *((pb.TEST, state) for state in tests)]:
        state = pb.NetState(phase=phase)
        if net is not None:
            state.MergeFrom(net.state)
        state.MergeFrom(own)  # a phase that it names wins, odd as that would be
        states.append(state)
    return states


def _phase(phase: int | str) -> str:
    if not isinstance(phase, str):
        return pb.Phase.Name(phase)
    if phase.upper() not in pb.Phase.keys():
        raise SpecError(f"there is no phase '{phase}', only TRAIN and TEST{nearest(phase, pb.Phase.keys())}")
    return phase.upper()


def is_in(layer: pb.LayerParameter, state: pb.NetState) -> bool:
    """Whether Caffe builds `layer` in `state`; SpecError where it has rules of both kinds."""
    if layer.include and layer.exclude:
        raise SpecError(f"layer '{layer.name}' has include and exclude rules; Caffe takes only one of the two kinds")
    if layer.include:
        return any(_met(rule, state) for rule in layer.include)
    return not any(_met(rule, state) for rule in layer.exclude)


def _met(rule: pb.NetStateRule, state: pb.NetState) -> bool:
    return not (
        rule.HasField("phase")
        and rule.phase != state.phase
        or rule.HasField("min_level")
        and state.level < rule.min_level
        or rule.HasField("max_level")
        and state.level > rule.max_level
        or set(rule.stage) - set(state.stage)
        or set(rule.not_stage) & set(state.stage)
    )
