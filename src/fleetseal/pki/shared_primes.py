"""RSA moduli that share a prime: the mark of a broken generator, seen only by comparing many keys (ISS-KEY-PROVED).

Batch GCD after Bernstein ("How to find smooth parts of integers", 2004) with a scaled remainder tree: multiplications
of long numbers instead of divisions. `decimal` multiplies long numbers fast; Python's `int` does not.
"""

import itertools
import math
from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_GUARD: Final = 30  # digits: each of some 20 levels of the tree adds an error of a few units in the last place


def modulus(spki: bytes) -> int | None:
    """The modulus of an RSA key (SubjectPublicKeyInfo DER); None for a key of another kind."""
    key = serialization.load_der_public_key(spki)
    return key.public_numbers().n if isinstance(key, rsa.RSAPublicKey) else None


def pairs_with_common_factor(moduli: Iterable[int]) -> list[tuple[int, int]]:
    """Every two different moduli that have a factor in common, the smaller first, in order."""
    different = sorted(set(moduli))
    suspects = [one for one, rest in zip(different, _products_of_others(different), strict=True) if _common(one, rest)]
    return [pair for pair in itertools.combinations(suspects, 2) if _common(*pair)]


def _common(one: int, other: int) -> bool:
    return math.gcd(one, other) != 1


def _products_of_others(moduli: list[int]) -> list[int]:
    """For each modulus, the product of all others modulo it.

    The numerator of the sum of 1/n over all n is, modulo each n, that product. Numerator and denominator go up the
    tree; their quotient, of which only the part after the point counts, comes down: times the other half's product.
    """
    if len(moduli) < 2:
        return [1] * len(moduli)
    digits = sum(number.bit_length() for number in moduli) * 302 // 1000 + 2 * _GUARD
    with localcontext(Context(prec=2 * digits, rounding=ROUND_FLOOR, Emax=MAX_EMAX, Emin=MIN_EMIN)) as context:
        level = [(Decimal(1), Decimal(number)) for number in moduli]
        products: list[list[Decimal]] = []
        while len(level) > 1:
            products.append([product for _, product in level])
            level = [_sum(level[at : at + 2]) for at in range(0, len(level), 2)]
        context.prec = digits
        scaled = [level[0][0] / level[0][1]]
        context.prec = 2 * digits
        for factors in reversed(products):
            scaled = [
                _fraction(scaled[at // 2] * (factors[at ^ 1] if at ^ 1 < len(factors) else 1), own)
                for at, own in enumerate(factors)
            ]
        rounded = (one * number for one, number in zip(scaled, products[0], strict=True))
        return [int(one.to_integral_value(ROUND_HALF_EVEN)) for one in rounded]


def _sum(fractions: list[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal]:
    """Numerator and denominator of the sum of one or two fractions."""
    if len(fractions) == 1:
        return fractions[0]
    (one, below), (other, below_other) = fractions
    return one * below_other + other * below, below * below_other


def _fraction(value: Decimal, product: Decimal) -> Decimal:
    """The part after the point, as exact as the rest of the way down to the factors of `product` needs it."""
    fraction = value - value.to_integral_value(ROUND_FLOOR)
    return fraction.quantize(Decimal((0, (1,), -(product.adjusted() + _GUARD))))
