"""Integer tables of `ctx`: distribution shapes, scales, adaptation rates; docs/ctx.md defines them."""

from __future__ import annotations

PROB_BITS = 20
TOTAL = 1 << PROB_BITS
HALF = 512
SCALES = 160

# round(2^32 * 2^(-2^-i)) for i = 1..16.
_ROOTS = (
    3037000500,
    3611622603,
    3938502376,
    4112874773,
    4202935003,
    4248701965,
    4271771996,
    4283353945,
    4289156690,
    4292061010,
    4293513907,
    4294240540,
    4294603903,
    4294785595,
    4294876445,
    4294921870,
)


def _exp2_minus(t: int) -> int:
    """2^32 * 2^(-t / 2^16)."""
    if t >= 40 << 16:
        return 0
    value = 1 << 32
    for i in range(1, 17):
        if t >> (16 - i) & 1:
            value = (value * _ROOTS[i - 1]) >> 32
    return value >> (t >> 16)


def _tail(e: int) -> int:
    return (e << PROB_BITS) // ((1 << 32) + e)


def _lower_tail(shape: int, k: int) -> int:
    if shape == 0:
        return _tail(_exp2_minus(k * 3072))
    if shape == 1:
        return _exp2_minus(k * 2216) >> 13
    if shape == 2:
        return _tail(_exp2_minus(k * 2825 + ((k * k * k * 2861) >> 16)))
    return (3 * _tail(_exp2_minus(k * 5586)) + _tail(_exp2_minus(k * 1307))) >> 2


def _cdf(shape: int) -> list[int]:
    low = [_lower_tail(shape, k) for k in range(HALF + 1)]
    return low[:0:-1] + [TOTAL - value for value in low]


def quarter_octave(v: int) -> int:
    """Quarter octaves of v >= 0: 0, 1, 2, 3, then two bits after the leading one."""
    if v < 4:
        return v
    lead = v.bit_length() - 1
    return 4 * (lead - 1) + (v >> (lead - 2) & 3)


def eighth_octave(v: int) -> int:
    """Eighths of an octave of v; below 8 as if it were 8."""
    if v < 8:
        return 0
    lead = v.bit_length() - 1
    return 8 * (lead - 3) + (v >> (lead - 3) & 7)


def log2_q8(v: int) -> int:
    """256 log2(v) for v >= 1, within a few thousandths of a bit."""
    lead = v.bit_length() - 1
    t = (v << 8 >> lead) & 255
    return 256 * lead + t + ((t * (256 - t) * 88) >> 16)


def _squash() -> list[int]:
    low = []
    for i in range(4097):
        e = _exp2_minus(i << 8)
        low.append(max(16, (e << 16) // ((1 << 32) + e)))
    return low[:0:-1] + [65536 - value for value in low]


CDF = [_cdf(shape) for shape in range(4)]
INV = [((1 << 37) // 3 + (t >> 1)) // t // 2 for t in ((17 + 2 * (i & 7)) << (i >> 3) for i in range(SCALES))]
RATE = [131072 // (2 * n + 3) for n in range(256)]
STRETCH = [log2_q8(2 * p + 1) - log2_q8(8191 - 2 * p) for p in range(4096)]
SQUASH = _squash()
MIDDLE = [b if b < 4 else ((9 + 2 * (b & 3)) << (b // 4 - 1)) >> 1 for b in range(64)]
FIRST = [min((b if b < 4 else (4 + (b & 3)) << (b // 4 - 1)) * 256 // 10 + 16, 1 << 19) for b in range(64)]
