# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Kernels that read and write the atoms of raw JSON: white space, strings, numbers, lists of bytes.

Each takes a pointer `raw` to the bytes, a position `i` and the length `n`, and guards every read by
`n`: compiled code checks no bounds. Words of up to eight ASCII characters are little-endian numbers. A position of -1 means "not JSON as the RFC 8259 grammar has it".
"""

from __future__ import annotations

import numpy as np

from hardening.kernels.codes import EXACT_POWERS
from hardening.kernels.jit import part

QUOTE, BACKSLASH, COMMA, COLON, PLUS, MINUS, DOT, ZERO, NINE = 34, 92, 44, 58, 43, 45, 46, 48, 57
OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, LETTER_E = 123, 125, 91, 93, 101
TENS = np.array([10**i for i in range(19)])
POWERS = np.array([10.0**i for i in range(EXACT_POWERS + 1)])
EIGHT = 8
FIRST = np.int64(0)
"""Constants that are arguments have a NumPy type: numba compiles a part anew for each plain one."""


def word(text: bytes) -> np.int64:
    """Up to eight ASCII characters as a little-endian number."""
    return np.int64(int.from_bytes(text, "little"))


ESCAPES = word(b'"\\/bfnrt')
ESCAPED = word(b'"\\/\b\f\n\r\t')

_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_LOW = np.uint64(0x0F0F0F0F0F0F0F0F)
_SIX = np.uint64(0x0606060606060606)
_DIGITS = np.uint64(0x3333333333333333)
_PAIRS, _QUADS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_TO_PAIRS, _TO_QUADS, _TO_ALL = np.uint64(2561), np.uint64(6553601), np.uint64(42949672960001)
_FOUR, _A_BYTE, _TWO_BYTES, _FOUR_BYTES = np.uint64(4), np.uint64(8), np.uint64(16), np.uint64(32)


@part
def skip(raw, i, n):
    """The first position from `i` that is no JSON white space."""
    while i < n and (raw[i] == 32 or raw[i] == 10 or raw[i] == 13 or raw[i] == 9):
        i += 1
    return i


@part
def stands(raw, i, n, text):
    """Whether the word `text` stands at `i`."""
    while text:
        if i >= n or raw[i] != text & 255:
            return False
        i += 1
        text >>= 8
    return True


@part
def put(text, out, o):
    """Write the word `text`; the position after it."""
    while text:
        out[o] = text & 255
        o += 1
        text >>= 8
    return o


@part
def unit(raw, i, n):
    """The UTF-16 unit of the four hex digits at `i`, or -1."""
    if i + 4 > n:
        return -1
    value = 0
    for j in range(i, i + 4):
        c = int(raw[j])
        if ZERO <= c <= NINE:
            value = value * 16 + c - 48
        elif 97 <= c <= 102:
            value = value * 16 + c - 87
        elif 65 <= c <= 70:
            value = value * 16 + c - 55
        else:
            return -1
    return value


@part
def escaped(raw, i, n):
    """The character of the escape whose letter stands at `i`, and the position after it; -1 if it is none."""
    if i >= n:
        return -1, i
    for shift in range(0, 64, 8):
        if raw[i] == ESCAPES >> shift & 255:
            return ESCAPED >> shift & 255, i + 1
    if raw[i] != 117:  # u
        return -1, i
    high = unit(raw, i + 1, n)
    if high < 0xD800 or high > 0xDFFF:
        return high, i + 5
    if high >= 0xDC00 or i + 6 >= n or raw[i + 5] != BACKSLASH or raw[i + 6] != 117:
        return -1, i
    low = unit(raw, i + 7, n)
    if low < 0xDC00 or low > 0xDFFF:
        return -1, i
    return 0x10000 + ((high - 0xD800) << 10) + low - 0xDC00, i + 11


@part
def character(raw, i, n):
    """The character at `i` < n, escaped or in UTF-8, and the position after it; -1 if it is none."""
    c = int(raw[i])
    if c == BACKSLASH:
        return escaped(raw, i + 1, n)
    if c < 0x80:
        return c, i + 1
    if 0xC2 <= c <= 0xDF:
        more, least, value = 1, 0x80, c & 0x1F
    elif 0xE0 <= c <= 0xEF:
        more, least, value = 2, 0x800, c & 0x0F
    elif 0xF0 <= c <= 0xF4:
        more, least, value = 3, 0x10000, c & 0x07
    else:
        return -1, i
    if i + more >= n:
        return -1, i
    for j in range(i + 1, i + 1 + more):
        if int(raw[j]) & 0xC0 != 0x80:
            return -1, i
        value = value << 6 | int(raw[j]) & 0x3F
    if value < least or 0xD800 <= value <= 0xDFFF or value > 0x10FFFF:
        return -1, i
    return value, i + 1 + more


@part
def string_end(raw, i, n):
    """The position of the quote that closes the string whose first character is at `i`, or -1."""
    while i < n:
        c = raw[i]
        if c == QUOTE:
            return i
        if c < 32:
            return -1
        if c == BACKSLASH or c >= 0x80:
            value, i = character(raw, i, n)
            if value < 0:
                return -1
        else:
            i += 1
    return -1


@part
def put_character(value, out, o):
    """Write a character as UTF-8; the position after it."""
    if value < 0x80:
        out[o] = value
        return o + 1
    if value < 0x800:
        out[o] = 0xC0 | value >> 6
        out[o + 1] = 0x80 | value & 0x3F
        return o + 2
    if value < 0x10000:
        out[o] = 0xE0 | value >> 12
        out[o + 1] = 0x80 | value >> 6 & 0x3F
        out[o + 2] = 0x80 | value & 0x3F
        return o + 3
    out[o] = 0xF0 | value >> 18
    out[o + 1] = 0x80 | value >> 12 & 0x3F
    out[o + 2] = 0x80 | value >> 6 & 0x3F
    out[o + 3] = 0x80 | value & 0x3F
    return o + 4


@part
def put_escape(value, out, o):
    """Write a quote, a backslash or a control character as its escape; the position after it."""
    out[o] = BACKSLASH
    for shift in range(0, 64, 8):
        if value == ESCAPED >> shift & 255:
            out[o + 1] = ESCAPES >> shift & 255
            return o + 2
    out[o + 1], out[o + 2], out[o + 3] = 117, ZERO, ZERO
    out[o + 4] = ZERO + (value >> 4)
    low = value & 15
    out[o + 5] = low + (ZERO if low < 10 else 87)
    return o + 6


@part
def put_string(raw, i, end, out, o):
    """Write the string content raw[i:end] as orjson spells it, without quotes; the position after it."""
    while i < end:
        if raw[i] != BACKSLASH:
            out[o] = raw[i]
            i += 1
            o += 1
            continue
        value, i = character(raw, i, end)
        if value >= 32 and value != QUOTE and value != BACKSLASH:
            o = put_character(value, out, o)
            continue
        o = put_escape(value, out, o)
    return o


@part
def digits(raw, i, n):
    """The number that the digits from `i` on spell (wrapped above 18 of them), and the position after them."""
    value = 0
    while i < n:
        digit = int(raw[i]) - ZERO
        if digit < 0 or digit > 9:
            break
        value = value * 10 + digit
        i += 1
    return value, i


@part
def eight(raw, i):
    """The eight bytes at `i` as a little-endian number; the compiler makes one read of it."""
    value = np.uint64(0)
    for j in range(EIGHT):
        value |= np.uint64(raw[i + j]) << np.uint64(8 * j)
    return value


@part
def are_digits(text):
    """Whether eight bytes are eight digits."""
    return (text & _HIGH) | (((text + _SIX) & _HIGH) >> _FOUR) == _DIGITS


@part
def eight_digits(text):
    """What eight digits spell, two, then four, then all of them at a time."""
    text = (text & _LOW) * _TO_PAIRS >> _A_BYTE
    text = (text & _PAIRS) * _TO_QUADS >> _TWO_BYTES
    return np.int64((text & _QUADS) * _TO_ALL >> _FOUR_BYTES)


@part
def many_digits(raw, i, n):
    """As `digits`, eight at a time: for decimals, of which there are many."""
    value = 0
    while i + EIGHT <= n:
        text = eight(raw, i)
        if not are_digits(text):
            break
        value = value * 100_000_000 + eight_digits(text)
        i += EIGHT
    while i < n:
        digit = int(raw[i]) ^ ZERO
        if digit > 9:
            break
        value = value * 10 + digit
        i += 1
    return value, i


@part
def exponent(raw, i, n):
    """The exponent that follows the letter at `i`, and the position after it or -1."""
    sign = 1
    i += 1
    if i < n and (raw[i] == PLUS or raw[i] == MINUS):
        sign = -1 if raw[i] == MINUS else 1
        i += 1
    value, end = digits(raw, i, n)
    return sign * value, end if i < end < i + 4 else -1


@part
def number(raw, i, n):
    """The JSON number at `i`: value, whether it is exact (else within 2 ulp), position after it or -1.

    Of more than 18 digits, or a power of ten that binary64 cannot hold exactly, it is refused too.
    """
    start = i
    negative = i < n and raw[i] == MINUS
    i += negative
    first = i
    whole, i = digits(raw, i, n)
    if i == first or i > first + 18 or (i > first + 1 and raw[first] == ZERO):
        return 0.0, False, -1
    mantissa = whole
    power = 0
    if i < n and raw[i] == DOT:
        point = i + 1
        i = point
        while whole == 0 and i < n and raw[i] == ZERO:
            i += 1
        decimals, end = many_digits(raw, i, n)
        power = point - end
        if power == 0 or end - i + (0 if whole == 0 else point - first) > 18:
            return 0.0, False, -1
        mantissa = decimals
        if whole > 0:
            mantissa += whole * TENS[end - i]
        i = end
    if i < n and (raw[i] == LETTER_E or raw[i] == LETTER_E - 32):
        more, i = exponent(raw, i, n)
        power += more
    if i < 0 or power > EXACT_POWERS or power < -EXACT_POWERS or i - start > 40:
        return 0.0, False, -1
    value = mantissa * POWERS[power] if power >= 0 else mantissa / POWERS[-power]
    return -value if negative else value, mantissa <= 1 << 53, i


@part
def byte_list(raw, i, n):
    """The position after the list of bytes at `i`, or -1; at most 255 each, no leading zeros."""
    i = skip(raw, i + 1, n)
    if i < n and raw[i] == CLOSE_LIST:
        return i + 1
    while i < n:
        value, end = digits(raw, i, n)
        if end == i or value > 255 or end > i + 3 or (raw[i] == ZERO and end > i + 1):
            return -1
        i = skip(raw, end, n)
        if i >= n:
            return -1
        if raw[i] == CLOSE_LIST:
            return i + 1
        if raw[i] != COMMA:
            return -1
        i = skip(raw, i + 1, n)
    return -1
