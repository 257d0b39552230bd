//! The network between board and miners, and what it does to messages.

use std::cmp::Reverse;

use super::{Faults, Happening, World};

impl World {
    pub(super) fn at(&mut self, time: u64, happening: Happening) {
        let id = self.next_happening;
        self.next_happening += 1;
        self.happenings.insert(id, happening);
        self.wires.push(Reverse((time, id)));
    }

    pub(super) fn send(&mut self, happening: Happening) {
        let faults = self.options.faults;
        if self.stream.chance(faults.loss) {
            return;
        }
        if self.stream.chance(faults.duplication) {
            let copy = match &happening {
                Happening::Arrives(miner, event) => Happening::Arrives(*miner, event.clone()),
                Happening::Answers(miner, answer) => Happening::Answers(*miner, answer.clone()),
                Happening::Rings(miner, alarm) => Happening::Rings(*miner, *alarm),
            };
            self.deliver(copy);
        }
        self.deliver(happening);
    }

    /// Puts a message on its way: behind all that were sent before, or free of them.
    pub(super) fn deliver(&mut self, message: Happening) {
        let faults = self.options.faults;
        let arrives = self.now + self.stream.below(faults.max_delay_ms + 1);
        if self.stream.chance(faults.reordering) {
            let held_ms = self.stream.below(Faults::HELD_BACK_MS);
            return self.at(arrives + held_ms, message);
        }
        let in_order = match &message {
            Happening::Arrives(miner, _) => &mut self.miners[*miner].sent_until,
            Happening::Answers(miner, _) => &mut self.miners[*miner].told_until,
            Happening::Rings(..) => return self.at(arrives, message),
        };
        *in_order = arrives.max(*in_order);
        let arrives = *in_order;
        self.at(arrives, message);
    }

    pub(super) fn ring_in(&mut self, miner: usize, ms: u64) {
        self.miners[miner].alarm += 1;
        let alarm = self.miners[miner].alarm;
        self.at(self.now + ms, Happening::Rings(miner, alarm));
    }
}
