//! Agreement verdicts, scores and weights, and a job board for miners that nobody needs to trust.
//!
//! Everything here is a pure function or a state machine: no clock, no thread, no socket, no
//! ambient randomness. Time is passed in as [`Millis`], randomness is a seed.
//!
//! ```
//! use naschain_consensus::{Action, JobId, Event, JobBoard, Millis, MinerId, Row, Rules};
//! use naschain_core::{Accuracy, Digest, Measurement};
//!
//! let mut board = JobBoard::new(Rules::default(), 7)?;
//! let miners = ["ada", "bob", "eve"].map(|name| name.parse::<MinerId>().unwrap());
//! for miner in &miners {
//!     board.handle(Millis(0), Event::Join { miner: miner.clone() })?;
//! }
//! board.handle(Millis(0), Event::Open { job: JobId(1), flops: 1_000_000 })?;
//!
//! // Each miner asks, trains and answers; eve invents a number.
//! let mut closed = None;
//! for (miner, hundredths) in miners.iter().zip([9321, 9340, 9900]) {
//!     let leased = board.handle(Millis(10), Event::Request { miner: miner.clone() })?;
//!     let [Action::Leased { lease, .. }] = leased[..] else { panic!("{leased:?}") };
//!     let row = Row::Measured(Measurement {
//!         accuracy: Accuracy::from_hundredths(hundredths)?,
//!         params: 1_200,
//!         flops: 80_000,
//!         digest: Digest([0; 32]),
//!     });
//!     let submit = Event::Submit { miner: miner.clone(), lease, row };
//!     closed = board.handle(Millis(20), submit)?.pop();
//! }
//! let Some(Action::Closed { rows, verdict, .. }) = closed else { panic!() };
//! let paid: Vec<_> = rows.iter().zip(&verdict.agreed).filter(|(_, paid)| **paid).collect();
//! assert_eq!(paid.len(), 2);
//! assert_eq!(verdict.consensus.unwrap().accuracy.to_string(), "93.21");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order:
//! 1. [`Agreement`], [`Row`]: when two answers agree;
//! 2. [`judge`]: who is rewarded in a job, and reason the others are not;
//! 3. [`Scoreboard`], [`MovingAverage`], [`weights_v11`]: from rewarded rows to the chain's weights;
//! 4. [`Rules`], [`Event`], [`Action`], [`Rejected`]: the words of the job board; [`Grant`],
//!    [`NoWork`], [`Ending`], [`Failure`]: its reasons;
//! 5. [`JobBoard`]: who trains what, and for how long.

mod agreement;
mod board;
mod error;
mod event;
mod ids;
mod reason;
mod rejected;
mod rules;
mod scores;
mod settings;
mod verdict;
mod weights;

pub use agreement::{Agreement, Row, Rule};
pub use board::JobBoard;
pub use error::Error;
pub use event::{Action, Event};
pub use ids::{JobId, LeaseId, Millis, MinerId};
pub use reason::{Ending, Failure, Grant, NoWork};
pub use rejected::Rejected;
pub use rules::{Rules, Trust, Watchdog};
pub use scores::{MovingAverage, Scoreboard, Tally, l1_normalise, normalise};
pub use verdict::{Finding, Verdict, judge, judge_late};
pub use weights::{WeightLimits, weights_v10, weights_v11};
