"""How an effect meets the faults that are scripted for its verb."""

from collections.abc import Awaitable, Callable

from fleetseal.sim.faults import Faults
from fleetseal.sim.http import Dropped, Response

Act = Callable[[], Awaitable[Response]]


class Effects:
    """Every change of a device goes through `perform`; `counts` says how often each verb was done."""

    def __init__(self, faults: Callable[[], Faults]) -> None:
        self.counts: dict[str, int] = {}
        self._faults = faults

    async def perform(self, verb: str, act: Act, *, hollow: Response, broken: Response) -> Response:
        """The answer of `act`, or what the faults make of it. `hollow`: success without effect; `broken`: 500.

        Raises Dropped when request or answer is lost.
        """
        faults = self._faults()
        if Faults.use(faults.lose_request_of, verb):
            raise Dropped
        if Faults.use(faults.ok_without_effect, verb):
            return hollow
        response = await self._act(verb, act)
        if Faults.use(faults.effect_twice, verb):
            response = await self._act(verb, act)
        if Faults.use(faults.error_with_effect, verb):
            return broken
        if Faults.use(faults.lose_answer_of, verb):
            raise Dropped
        return response

    async def _act(self, verb: str, act: Act) -> Response:
        self.counts[verb] = self.counts.get(verb, 0) + 1
        return await act()
