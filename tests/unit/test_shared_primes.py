"""Moduli that share a prime are found among thousands, and no others."""

import itertools
import math
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.pki import keys, shared_primes
from tests.pki import key
from tests.support import FakeRng

SMALL = keys._product_of_primes(1 << 14)


def by_hand(moduli: list[int]) -> list[tuple[int, int]]:
    different = sorted(set(moduli))
    return [(a, b) for n, a in enumerate(different) for b in different[n + 1 :] if math.gcd(a, b) > 1]


@given(st.lists(st.integers(2, 1 << 200), max_size=40))
def test_what_is_found_is_what_comparing_each_with_each_finds(moduli: list[int]) -> None:
    assert shared_primes.pairs_with_common_factor(moduli) == by_hand(moduli)


@given(st.lists(st.sampled_from([3, 5, 7, 11, 101, 103, (1 << 61) - 1, (1 << 89) - 1]), min_size=2, max_size=40))
def test_products_of_few_primes(primes: list[int]) -> None:
    """Equal moduli, one dividing the other, and every size of tree."""
    moduli = [a * b for a, b in itertools.pairwise(primes)]
    assert shared_primes.pairs_with_common_factor(moduli) == by_hand(moduli)


@pytest.mark.parametrize("moduli", [[], [77], [77, 77]])
def test_nothing_to_compare(moduli: list[int]) -> None:
    assert shared_primes.pairs_with_common_factor(moduli) == []


def test_the_modulus_of_a_key() -> None:
    made = rsa.generate_private_key(65537, 2048).public_key()
    assert shared_primes.modulus(keys.spki(made)) == made.public_numbers().n
    assert shared_primes.modulus(key("ec-p256").spki) is None


def test_a_planted_pair_among_five_thousand_is_found_in_seconds() -> None:
    """Numbers of 2048 bits without small factors stand for moduli; the two of the pair are real."""
    rng = FakeRng()
    moduli: list[int] = []
    while len(moduli) < 4998:
        number = int.from_bytes(rng.bytes(256), "big") | 1 << 2047
        while (small := math.gcd(number, SMALL)) > 1:
            number //= small
        moduli.append(number)
    made = [rsa.generate_private_key(65537, 2048).private_numbers() for _ in range(2)]
    pair = sorted((made[0].p * made[1].p, made[0].q * made[1].p))
    began = time.process_time()
    found = shared_primes.pairs_with_common_factor([*moduli[:1000], pair[0], *moduli[1000:], pair[1]])
    assert time.process_time() - began < 60
    assert tuple(pair) in found
    assert all(math.gcd(*one) > 1 for one in found)
    assert len(found) < 400, "chance leaves some eighty pairs with a factor above 2^14"
