"""A small CA for tests of `pki`, made with the product's own code, in memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from fleetseal.core.errors import InvalidInput, TrustFailure
from fleetseal.core.runtime import SystemRng
from fleetseal.pki import chain, keys, profile
from fleetseal.pki.content import LeafContent, Signer
from fleetseal.pki.issuer import Issuer, NewKey
from fleetseal.pki.names import UNCONSTRAINED, Constraints

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
RNG = SystemRng()


@cache
def key(kind: str, number: int = 0) -> NewKey:
    """The same key each time; `number` asks for another of the kind."""
    return NewKey(keys.generate(kind))


def chains_to(
    leaf: bytes, *, intermediates: Iterable[bytes], anchors: Iterable[bytes], name: str, at: datetime
) -> bool:
    """Whether `chain.verify_server` accepts it."""
    try:
        chain.verify_server(leaf, intermediates, anchors=anchors, name=name, at=at)
    except (TrustFailure, InvalidInput):
        return False
    return True


@dataclass(frozen=True)
class TestAuthority:
    """A hierarchy; `issuer` signs leaves."""

    __test__ = False

    root: bytes
    intermediates: tuple[bytes, ...]
    issuer: Issuer
    signer: Signer

    def leaf(
        self,
        *names: str,
        common_name: str | None = "first",
        kind: str = "ec-p256",
        life: timedelta = YEAR,
        public_url: str = "",
    ) -> bytes:
        return self.issuer.issue(
            self.issuer.prepare(
                self.content(*names, common_name=common_name, kind=kind, life=life, public_url=public_url)
            )
        )

    def content(
        self,
        *names: str,
        common_name: str | None = "first",
        kind: str = "ec-p256",
        life: timedelta = YEAR,
        public_url: str = "",
    ) -> LeafContent:
        return profile.leaf_content(
            self.signer,
            key(kind, 1).spki,
            serial=profile.new_serial(RNG),
            now=NOW,
            life=life,
            common_name=names[0] if common_name == "first" else common_name,
            names=names,
            public_url=public_url,
        )


@cache
def authority(
    family: str = "ec", *, tiers: int = 2, constraints: Constraints = UNCONSTRAINED, public_url: str = ""
) -> TestAuthority:
    """A CA made at NOW."""
    root_key, issuing_key = key(keys.ROOT_KEYS[family]), key(keys.ISSUING_KEYS[family])
    content = profile.root_content(
        "Plant",
        root_key.spki,
        serial=profile.new_serial(RNG),
        now=NOW,
        organization="Example",
        one_tier=tiers == 1,
        constraints=constraints,
    )
    itself = root_key.issuer(None)
    root = itself.issue(itself.prepare(content))
    signer = Signer(root)
    if tiers == 1:
        return TestAuthority(root, (), root_key.issuer(signer), signer)
    above = root_key.issuer(signer)
    issuing = profile.issuing_content(
        signer,
        issuing_key.spki,
        name="Plant",
        serial=profile.new_serial(RNG),
        now=NOW,
        number=1,
        organization="Example",
        constraints=constraints,
        public_url=public_url,
    )
    der = above.issue(above.prepare(issuing))
    below = Signer(der, (root,))
    return TestAuthority(root, (der,), issuing_key.issuer(below), below)
