//! Verifies that each event of a journal was sent by the miner that it names, and only once.

use naschain_consensus::{Action, Event, Millis, MinerId};

use crate::proof::{Proof, RequestRules};
use crate::signed_requests::{SignedRequests, Use};
use naschain_identity::ss58;

/// Which signatures a journal must have.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Signers {
    /// The genomaster's address; if `None`, the receiver of the first signed request.
    pub genomaster: Option<String>,
    /// Which miners may send unsigned requests.
    pub unsigned: Unsigned,
    /// Whether miners of the reference network (`uid-N`), which cannot sign, may send them too.
    pub legacy: bool,
}

/// Which miners may send unsigned requests. A run is signed if its genomaster has an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsigned {
    /// In unsigned runs: miners whose name is not a hotkey's address.
    #[default]
    NamesOnly,
    /// In unsigned runs: all miners.
    AllInUnsignedRun,
    /// In all runs: all miners.
    All,
}

/// Tracks senders and their signed requests.
pub(crate) struct Provenance {
    rules: RequestRules,
    signers: Signers,
    /// The number and the miner of the first unsigned event.
    first_unsigned: Option<(u64, MinerId)>,
    requests: SignedRequests,
}

/// The source of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The genomaster itself.
    Genomaster,
    /// An unsigned request of a miner.
    Unsigned,
    /// A signed request.
    Signed(Use),
}

impl Provenance {
    pub(crate) fn new(rules: RequestRules, signers: Signers) -> Provenance {
        Provenance {
            rules,
            signers,
            first_unsigned: None,
            requests: SignedRequests::default(),
        }
    }

    /// Checks event `number` before it is applied; the error describes what is wrong.
    pub(crate) fn check(
        &mut self,
        number: u64,
        now: Millis,
        event: &Event,
        proof: Option<&Proof>,
    ) -> Result<Source, String> {
        let Some(proof) = proof else {
            return self.check_unsigned(number, event);
        };
        proof
            .check(event, &self.rules)
            .map_err(|error| error.to_string())?;
        let genomaster = &mut self.signers.genomaster;
        let genomaster = genomaster.get_or_insert_with(|| proof.receiver.clone());
        if proof.receiver != *genomaster {
            let receiver = &proof.receiver;
            return Err(format!(
                "the request was signed for {receiver}, not for {genomaster}"
            ));
        }
        if let Some((first, miner)) = &self.first_unsigned {
            let hotkey = &proof.hotkey;
            return Err(format!(
                "{hotkey} signed it, but {miner} did not sign event {first}; signed and unsigned requests may be mixed only with --unsigned"
            ));
        }
        self.requests.take(now, event, proof).map(Source::Signed)
    }

    fn check_unsigned(&mut self, number: u64, event: &Event) -> Result<Source, String> {
        let miner = match event {
            Event::Tick
            | Event::Reveal { .. }
            | Event::Extend { .. }
            | Event::Introduce { .. }
            | Event::Received { .. }
            | Event::Ruled { .. } => {
                return Ok(Source::Genomaster);
            }
            Event::Join { miner }
            | Event::Register { miner, .. }
            | Event::Request { miner }
            | Event::Heartbeat { miner, .. }
            | Event::Submit { miner, .. }
            | Event::Testify { miner, .. }
            | Event::Leave { miner } => miner,
            _ => return Err("a genomaster never writes such an event".to_owned()),
        };
        let Signers {
            genomaster,
            unsigned,
            legacy,
        } = &self.signers;
        let is_legacy = miner.uid().is_some();
        if *unsigned == Unsigned::All || (*legacy && is_legacy) {
            return Ok(Source::Unsigned);
        }
        let is_address = ss58::decode(miner.as_str()).is_ok();
        if genomaster.is_some() || (is_address && *unsigned == Unsigned::NamesOnly) {
            return Err(if is_legacy {
                format!("{miner} did not sign it; miners of the reference network need --legacy")
            } else {
                format!("{miner} did not sign it; unsigned requests need --unsigned")
            });
        }
        self.first_unsigned
            .get_or_insert_with(|| (number, miner.clone()));
        Ok(Source::Unsigned)
    }

    /// Records the actions that followed from the event.
    pub(crate) fn record(
        &mut self,
        now: Millis,
        source: &Source,
        event: &Event,
        proof: Option<&Proof>,
        actions: &[Action],
    ) -> Result<(), String> {
        match (source, proof) {
            (Source::Signed(taken), Some(proof)) => {
                self.requests.record(now, taken, proof, event, actions)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_consensus::{Grant, JobId, LeaseId, NoWork};
    use naschain_core::Digest;
    use naschain_identity::Hotkey;
    use naschain_identity::{Auth, SignedParts};

    const RULES: RequestRules = RequestRules {
        run: Digest([4; 32]),
        must_name_run: false,
    };

    fn request(nonce: u64) -> (Event, Proof) {
        let (ada, genomaster) = (Hotkey::from_seed(&[1; 32]), Hotkey::from_seed(&[9; 32]));
        let body = format!("{{\"miner\":\"{}\",\"wait_ms\":9}}", ada.address());
        let message = SignedParts {
            method: "POST",
            path: "/v1/jobs",
            body: body.as_bytes(),
        };
        let auth = Auth::sign(&ada, message, Some(genomaster.address()), nonce);
        let proof = Proof::new(&auth, message).unwrap();
        let miner = ada.address().parse().unwrap();
        (Event::Request { miner }, proof)
    }

    /// Checks requests at these times, all with the same nonce, with the action that follows each.
    fn follow(uses: &[(u64, Action)]) -> Result<(), String> {
        let mut provenance = Provenance::new(RULES, Signers::default());
        let (event, proof) = request(7);
        for (now, action) in uses {
            let now = Millis(*now);
            let sent = provenance.check(1, now, &event, Some(&proof))?;
            provenance.record(
                now,
                &sent,
                &event,
                Some(&proof),
                std::slice::from_ref(action),
            )?;
        }
        Ok(())
    }

    #[test]
    fn a_request_for_work_may_be_repeated_while_it_waits() {
        let miner: MinerId = Hotkey::from_seed(&[1; 32]).address().parse().unwrap();
        let idle = Action::Idle {
            miner: miner.clone(),
            reason: NoWork::NothingPending,
        };
        let leased = |grant| Action::Leased {
            miner: miner.clone(),
            job: JobId(1),
            seat: 0,
            lease: LeaseId(2),
            expires: Millis(9),
            grant,
        };
        let again = leased(Grant::Reissued { old: LeaseId(1) });
        let leased = leased(Grant::Open);
        let late = 60_001;
        assert_eq!(
            follow(&[(0, idle.clone()), (5, idle.clone()), (9, leased.clone())]),
            Ok(())
        );
        assert_eq!(follow(&[(0, again.clone())]), Ok(()));
        for (wrong, reason) in [
            (vec![(0, leased.clone()), (1, idle.clone())], "used nonce"),
            (
                vec![(0, idle.clone()), (1, leased.clone()), (2, idle.clone())],
                "used nonce",
            ),
            (
                vec![(0, idle.clone()), (late, leased.clone())],
                "used nonce",
            ),
            (vec![(0, idle.clone()), (1, again)], "ended a lease"),
        ] {
            let error = follow(&wrong).unwrap_err();
            assert!(error.contains(reason), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn signed_and_unsigned_requests_are_not_mixed_by_default() {
        use Unsigned::{All, AllInUnsignedRun, NamesOnly};
        let (signed, proof) = request(7);
        let of = |miner: &str| (miner.parse().unwrap(), None);
        let ada = match &signed {
            Event::Request { miner } => miner.clone(),
            _ => unreachable!(),
        };
        let genomaster = || Some(Hotkey::from_seed(&[9; 32]).address().to_owned());
        let address = (ada.clone(), None);
        let signed = (ada, Some(&proof));
        let follow = |genomaster, unsigned, legacy, sent: &[&(MinerId, Option<&Proof>)]| {
            let signers = Signers {
                genomaster,
                unsigned,
                legacy,
            };
            let mut provenance = Provenance::new(RULES, signers);
            (1..).zip(sent).try_for_each(|(number, (miner, proof))| {
                let miner = miner.clone();
                let event = Event::Request { miner };
                provenance
                    .check(number, Millis(0), &event, *proof)
                    .map(drop)
            })
        };
        let (bob, old) = (of("bob"), of("uid-7"));
        // An unsigned run.
        assert_eq!(follow(None, NamesOnly, false, &[&bob, &old]), Ok(()));
        assert_eq!(
            follow(None, AllInUnsignedRun, false, &[&bob, &address]),
            Ok(())
        );
        assert!(follow(None, NamesOnly, false, &[&bob, &address]).is_err());
        // A signed run: the genomaster's address is given, or taken from a proof.
        for unsigned in [NamesOnly, AllInUnsignedRun] {
            for sent in [&[&bob][..], &[&address], &[&signed, &bob], &[&old]] {
                let error = follow(genomaster(), unsigned, false, sent).unwrap_err();
                assert!(error.contains("did not sign it"), "{sent:?}: {error}");
            }
            let error = follow(None, unsigned, false, &[&signed, &bob]).unwrap_err();
            assert!(error.starts_with("bob did not sign it"), "{error}");
            let error = follow(None, unsigned, false, &[&bob, &signed]).unwrap_err();
            assert!(error.contains("bob did not sign event 1"), "{error}");
            let error = follow(None, unsigned, false, &[&signed, &old]).unwrap_err();
            assert!(error.contains("--legacy"), "{error}");
            let old_first = follow(genomaster(), unsigned, true, &[&old, &signed]);
            assert_eq!(old_first, Ok(()));
        }
        let all = [&bob, &signed, &old, &address];
        assert_eq!(follow(genomaster(), All, false, &all), Ok(()));
    }

    #[test]
    fn events_that_no_genomaster_writes_are_refused() {
        let mut provenance = Provenance::new(RULES, Signers::default());
        let (job, flops) = (JobId(77), 1);
        let open = Event::Open { job, flops };
        assert!(provenance.check(1, Millis(0), &open, None).is_err());
        assert_eq!(
            provenance.check(1, Millis(0), &Event::Tick, None),
            Ok(Source::Genomaster)
        );
    }
}
