"""PyTorch's side of `cpu_net.py`: `cpu_net_torch.py CLIPS`.

The net of `gpu_torch.py`: one pass for each line of standard input, after each a line on standard output; the first
line comes when the net is made and tried. Nothing where there is no PyTorch.
"""

from __future__ import annotations

import sys

try:
    import torch
    from gpu_torch import Clips
except ImportError:
    sys.exit()


def main(clips: int) -> None:
    torch.manual_seed(1701)
    last = torch.channels_last
    module = Clips(16).train().to(memory_format=last)
    images = (torch.randn(16 * clips, 3, 227, 227) * 50).to(memory_format=last)
    labels = torch.randint(0, 101, (16 * clips,))

    def once() -> None:
        module.zero_grad(set_to_none=True)
        module(images, labels).backward()

    once()
    print(flush=True)
    for _ in sys.stdin:
        once()
        print(flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
