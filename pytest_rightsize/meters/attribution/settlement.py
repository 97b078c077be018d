"""Settles answers: shares of the joules in, each complete answer with its energy out.

An answer without its share, or without its repetitions, goes on waiting. An energy that cannot be told is unknown, with
its reason, and never 0.
"""

from collections.abc import Sequence

from pytest_rightsize.energy import Basis, Energy, unknown_energy
from pytest_rightsize.errors import MixedEnergyError
from pytest_rightsize.meters import Facts
from pytest_rightsize.meters.attribution.amounts import energy_of_share
from pytest_rightsize.meters.attribution.idling import Idling
from pytest_rightsize.meters.attribution.pending import Pending
from pytest_rightsize.meters.attribution.processes import OwnShare, OwnSum, ProcessorTrack
from pytest_rightsize.meters.attribution.repetition import combined
from pytest_rightsize.meters.attribution.sampler import Sampler
from pytest_rightsize.meters.attribution.shares import Part, Share
from pytest_rightsize.meters.attribution.sharing import Ledger

__all__ = ["Settlement"]


class Settlement:
    """Makes energies of shares, for one metered rung. Its methods are called with the window's lock held.

    `several` is as in `energy_of_share`. `processor` tells this process's part of the processor time where answers
    have only that part of the joules, and is None elsewhere.
    """

    def __init__(
        self,
        ledger: Ledger,
        sampler: Sampler,
        idling: Idling,
        *,
        facts: Sequence[Facts],
        basis: Basis,
        several: bool,
        processor: ProcessorTrack | None,
    ) -> None:
        self._ledger = ledger
        self._sampler = sampler
        self._idling = idling
        self._facts = facts
        self._basis: Basis = basis
        self._several = several
        self._processor = processor
        self._own_sum = OwnSum()
        self._needs_idle = basis == "marginal" and any(fact.provenance == "measured" for fact in facts)

    @property
    def lacks_idle(self) -> bool:
        """Whether nothing can be told yet, because it needs the idle power and that is not known."""
        return self._needs_idle and self._idling.resident is None

    def settle(self, shares: Sequence[Share], waiting: dict[int, Pending]) -> list[tuple[Pending, Energy]]:
        """Give shares to the requests they belong to, and take those out of `waiting` that are settled now."""
        for share in shares:
            for pending in waiting.values():
                if pending.row is not None and share.ticket in pending.row.block_tickets:
                    pending.row.shares.append(share)
            if isinstance(share.ticket, int) and share.ticket in waiting:
                waiting[share.ticket].share = share
        settled = [ticket for ticket, pending in waiting.items() if pending.is_settled]
        ready = []
        for ticket in settled:
            pending = waiting.pop(ticket)
            ready.append((pending, self._energy(pending)))
        return ready

    def own_part(self, served: Energy | None) -> Energy | None:
        """The energy of all answers with what this process's shares of it leave open."""
        return self._own_sum.widened(served)

    def _energy(self, pending: Pending) -> Energy:
        assert pending.share is not None  # it is settled
        energy = self._of_share(pending.share)
        row = pending.row
        if row is None or row.failed:
            return energy
        return combined([self._of_share(share) for share in row.shares], per_block=row.per_block) or energy

    def _of_share(self, share: Share) -> Energy:
        if self.lacks_idle:
            what = "idle power is not known, nor what the answer took above it"
            return unknown_energy(what, meter=self._facts[0].meter, flags=("no_idle",))
        own = None
        if self._processor is not None:
            own = self._processor.share(share.start, share.end)
            if own is None:
                what = "the system did not tell this process's part of the processor time"
                return unknown_energy(what, meter=self._facts[0].meter, flags=("no_share",))
            self._leave_others_out(share, own)
        try:
            return energy_of_share(
                share,
                self._facts,
                basis=self._basis,
                several=self._several,
                ticks_s=[timeline.tick_s for timeline in self._ledger.timelines],
                idle_w=self._ledger.idle_w,
                contended=self._sampler.others_in(share.start, share.end),
                own=own,
            )
        except MixedEnergyError as error:
            return unknown_energy(f"its meters' amounts have no sum ({error})")

    def _leave_others_out(self, share: Share, own: OwnShare) -> None:
        self._ledger.give_others(share, [1 - own.share] * len(self._facts))
        self._own_sum.add(own, sum(part.joules for part in share.parts if isinstance(part, Part)))
