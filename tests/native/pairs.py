"""All pairs of options: few cases in which every two values of two options meet."""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any


def all_pairs(options: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Cases, each a value per option, in which every pair of values of two options occurs; greedy, always the same."""
    draw = random.Random(0)
    names = sorted(options)
    missing = {
        ((a, u), (b, v)): None
        for a, b in combinations(names, 2)
        for u in options[a]
        for v in options[b]
    }
    cases = []
    while missing:
        first, second = next(iter(missing))
        candidates = [
            {name: draw.choice(options[name]) for name in names} | dict((first, second))
            for _ in range(20)
        ]
        best = max(candidates, key=lambda case: sum(pair in missing for pair in pairs_of(case)))
        for pair in pairs_of(best):
            missing.pop(pair, None)
        cases.append(best)
    return cases


def pairs_of(case: Mapping[str, Any]) -> list[Any]:
    """The pairs of (option, value) of one case."""
    return list(combinations(sorted(case.items()), 2))
