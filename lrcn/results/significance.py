"""Is a difference more than chance?"""

from __future__ import annotations

from math import comb


def sign_test(one: int, other: int) -> float:
    """The two-sided p-value of the exact sign test (McNemar's exact test): how likely it is that of `one` + `other`
    items which exactly one of two classifiers has right, the shares differ at least so much if both are as good."""
    items = one + other
    tail = sum(comb(items, k) for k in range(min(one, other) + 1)) / 2**items
    return min(1.0, 2 * tail)
