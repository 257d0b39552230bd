#![doc = include_str!("../README.md")]

mod action;
mod agreement;
mod board;
mod error;
mod event;
mod fair_share;
mod ids;
mod reason;
mod referee;
mod rejected;
mod reputation;
mod rules;
mod scores;
mod settings;
mod track_record;
mod verdict;
mod weights;

pub use action::Action;
pub use agreement::{Agreement, Row, Rule};
pub use board::{JobBoard, MinerProfile};
pub use error::Error;
pub use event::{Event, TrainingPart};
pub use fair_share::FairShare;
pub use ids::{JobId, LeaseId, Millis, MinerId, QuestionId};
pub use reason::{Ending, Failure, Grant, NoWork};
pub use referee::{OpenQuestion, Question, Referee, RefereeTask, Ruling};
pub use rejected::Rejected;
pub use reputation::Reputation;
pub use rules::{Rules, Trust, Watchdog};
pub use scores::{MovingAverage, Scoreboard, Tally, l1_normalise, normalise};
pub use track_record::TrackRecord;
pub use verdict::{Finding, Verdict, check_costs, judge, judge_late, judge_with_costs};
pub use weights::{WeightLimits, weights_v10, weights_v11};
