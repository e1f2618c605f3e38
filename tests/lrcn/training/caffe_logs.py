"""Logs as Caffe writes them."""


def log_of(first: int, last: int, loss=lambda iteration: iteration / 10) -> str:
    """A process's, that displays every iteration and tests every fifth, the last too."""
    lines = ["I20260101 00:00:00.0 7 solver.cpp:48] Initializing solver from parameters:"]
    for iteration in range(first, last + 1):
        begin = f"I20260101 00:00:{iteration:02}.0 7 solver.cpp:1]"
        test = [f"{begin} Iteration {iteration}, Testing net (#0)", f"{begin}     Test net output #0: accuracy = 0.5"]
        shown = [f"{begin} Iteration {iteration}, loss = {loss(iteration)}"]
        if iteration < last:
            shown += [f"{begin}     Train net output #0: accuracy = 0.25", f"{begin} Iteration {iteration}, lr = 0.01"]
        tested = test if iteration % 5 == 0 else []
        lines += tested + shown if iteration < last else shown + tested
    return "\n".join(lines) + "\n"
