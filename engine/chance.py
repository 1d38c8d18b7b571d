"""How sure a share of hits is, and whether guessing explains it. No torch."""

import math

Z_95 = 1.959964  # a normal variable lies within so many standard deviations 95 times out of 100


def wilson(hits: float, count: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for the probability behind `hits` out of `count` ≥ 1 independent trials.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927:
    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with p = hits / n. Half a hit, a tie, counts as such.
    """
    share = hits / count
    middle = share + z * z / (2 * count)
    width = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


def by_guessing(hits: float, count: int) -> float:
    """How probable it is to be right at least so often by guessing, 1 of 2 each time: the sign test.

    Exact, where Wilson's interval for a few trials is too narrow: of 4 hits out of 4 it begins above ½, and
    guessing comes to them once in 16 times. A tie, half a hit, is rounded down.
    """

    def exactly(right: int) -> float:
        ways = math.lgamma(count + 1) - math.lgamma(right + 1) - math.lgamma(count - right + 1)
        return math.exp(ways - count * math.log(2))

    return math.fsum(exactly(right) for right in range(math.floor(hits), count + 1))
