"""Mutated answers, through the real decoders, probe, identity and drivers (INP-BOUNDED): no hang, no crash, only
errors of ours. How many, and from which seed: `make fuzz`."""

import asyncio
from pathlib import Path

import pytest

from fleetseal.devices.http import Answer

from .conversations import Conversations, Replayed, everything, one_damaged, remembered
from .harness import Fuzz, assert_storable, only_our_errors
from .mutation import damaged

RECORDINGS = sorted(Path(__file__).parent.parent.joinpath("recordings").glob("*/*.*"))
PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_every_decoder_takes_every_answer(fuzz: Fuzz, conversations: Conversations, part: int) -> None:
    """Each answer of each generation, damaged, is read by the decoder of its question; one in five by another's."""
    exchanged = [one for kept in conversations.values() for one in kept]
    files = [path.read_bytes() for path in RECORDINGS]
    bodies = [one.answer.body for one in exchanged if one.answer.body] + files
    refused = accepted = 0
    for label, source in fuzz.cases("decoder", share=0.69, part=part, parts=PARTS):
        one = source.choice(exchanged)
        body = one.answer.body if source.random() < 0.8 else source.choice(files)
        status = source.choice((one.answer.status,) * 8 + (200, 201, 204, 400, 401, 404, 500))
        answer = Answer(status, one.answer.headers, damaged(source, body, bodies))
        refused += 1
        with only_our_errors(label, one.question.request, answer):
            assert_storable(one.question.decode(answer))
            accepted, refused = accepted + 1, refused - 1
    assert refused > accepted / 20, "hardly anything was damaged enough to be refused"
    assert accepted > refused / 20, "hardly anything was left to be read"


@pytest.mark.parametrize("part", range(PARTS))
def test_a_whole_conversation_survives_one_damaged_answer(fuzz: Fuzz, conversations: Conversations, part: int) -> None:
    """Identity, probe and every verb of the drivers."""
    profiles = [kept for kept in conversations.values() if len(kept) > 10]

    async def converse() -> None:
        for label, source in fuzz.cases("conversation", share=0.04, part=part, parts=PARTS):
            answers, hurt = one_damaged(source, source.choice(profiles))
            with only_our_errors(label, hurt):
                await everything(Replayed(answers))

    asyncio.run(converse())


def test_an_undamaged_conversation_comes_to_its_end(conversations: Conversations) -> None:
    """What is replayed is what was recorded; else the damage would be found nowhere."""
    complete = [kept for kept in conversations.values() if len(kept) > 10]
    assert len(complete) >= 8
    for kept in complete:
        asyncio.run(everything(Replayed(remembered(kept))))
