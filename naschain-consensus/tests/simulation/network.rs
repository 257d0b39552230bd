//! The network between board and miners, with its faults.

use std::cmp::Reverse;

use super::{Faults, SimEvent, World};

impl World {
    pub(super) fn at(&mut self, time: u64, happening: SimEvent) {
        let id = self.next_event;
        self.next_event += 1;
        self.pending.insert(id, happening);
        self.network.push(Reverse((time, id)));
    }

    pub(super) fn send(&mut self, happening: SimEvent) {
        let faults = self.options.faults;
        if self.stream.chance(faults.loss) {
            return;
        }
        if self.stream.chance(faults.duplication) {
            let copy = match &happening {
                SimEvent::ToBoard(miner, event) => SimEvent::ToBoard(*miner, event.clone()),
                SimEvent::ToMiner(miner, answer) => SimEvent::ToMiner(*miner, answer.clone()),
                SimEvent::Genomaster(event) => SimEvent::Genomaster(event.clone()),
                SimEvent::Asked(miner, question) => SimEvent::Asked(*miner, *question),
                SimEvent::Timer(miner, timer) => SimEvent::Timer(*miner, *timer),
            };
            self.deliver(copy);
        }
        self.deliver(happening);
    }

    /// Schedules the arrival of a message: in order, or held back if it is reordered.
    pub(super) fn deliver(&mut self, message: SimEvent) {
        let faults = self.options.faults;
        let arrives = self.now + self.stream.below(faults.max_delay_ms + 1);
        if self.stream.chance(faults.reordering) {
            let held_ms = self.stream.below(Faults::HELD_BACK_MS);
            return self.at(arrives + held_ms, message);
        }
        let in_order = match &message {
            SimEvent::ToBoard(miner, _) => &mut self.miners[*miner].sent_until,
            SimEvent::ToMiner(miner, _) => &mut self.miners[*miner].received_until,
            SimEvent::Genomaster(_) | SimEvent::Asked(..) | SimEvent::Timer(..) => {
                return self.at(arrives, message);
            }
        };
        *in_order = arrives.max(*in_order);
        let arrives = *in_order;
        self.at(arrives, message);
    }

    pub(super) fn set_timer(&mut self, miner: usize, ms: u64) {
        self.miners[miner].timer += 1;
        let timer = self.miners[miner].timer;
        self.at(self.now + ms, SimEvent::Timer(miner, timer));
    }
}
