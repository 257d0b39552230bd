//! Questions to miners about trainings that they have answered, over HTTP (JSON).

use naschain_consensus::{JobId, MinerId, Question, QuestionId};
use naschain_core::{Digest, Genome, StepState};
use serde::{Deserialize, Serialize};

/// `POST /v1/questions`: which questions a miner has to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionsRequest {
    /// The miner; in a signed request the signer's address.
    pub miner: MinerId,
    /// How long to wait for one, in milliseconds; at most 30,000.
    pub wait_ms: u64,
    /// The run.
    pub run: Digest,
}

/// The response to a [`QuestionsRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionsReply {
    /// The open questions to this miner, the oldest first; empty if there was none in time.
    pub questions: Vec<MinerQuestion>,
    /// Whether the run is finished and nobody will be asked any more.
    pub finished: bool,
}

/// A question that waits for its answer, with everything that the miner needs to train the network
/// again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinerQuestion {
    /// The question's number.
    pub question: QuestionId,
    /// The job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The genome that was trained.
    pub genome: Genome,
    /// The seed of the training, in runs with a secret; otherwise that of the recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_seed: Option<u64>,
    /// The epoch after which the training that was answered ended.
    pub last_epoch: u32,
    /// What is asked.
    #[serde(flatten)]
    pub what: Question,
    /// The remaining time to answer in milliseconds.
    pub remaining_ms: u64,
}

/// `POST /v1/questions/{question}/states`: the answer to [`Question::States`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatesRequest {
    /// The miner; in a signed request the signer's address.
    pub miner: MinerId,
    /// The run.
    pub run: Digest,
    /// The state after each step that was asked for, in the same order.
    pub states: Vec<StepState>,
}

/// The response to a part of a file, `PUT /v1/questions/{question}/file?offset=N&size=M`, and to `GET`
/// of the same path without the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedBytes {
    /// How many bytes of the file were received: the offset of the next part.
    pub received: u64,
}

/// The question in the path of an answer, `/v1/questions/NUMBER/...`. Only plain decimal without
/// leading zeros or a sign is a number, as in the path of a lease.
pub fn question_in_path(path: &str) -> Option<QuestionId> {
    let rest = path.strip_prefix("/v1/questions/")?;
    let (text, _) = rest.split_once('/')?;
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(QuestionId(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_flat_object() {
        let question = MinerQuestion {
            question: QuestionId(3),
            job: JobId(7),
            genome: "101".parse().unwrap(),
            training_seed: None,
            last_epoch: 6,
            what: Question::States { steps: vec![0, 64] },
            remaining_ms: 9,
        };
        let json = serde_json::to_string(&question).unwrap();
        let expected = r#"{"question":3,"batch":7,"genome":"101","last_epoch":6,"ask":"states","steps":[0,64],"remaining_ms":9}"#;
        assert_eq!(json, expected);
        assert_eq!(
            serde_json::from_str::<MinerQuestion>(&json).unwrap(),
            question
        );
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(
            question_in_path("/v1/questions/10/states"),
            Some(QuestionId(10))
        );
        for path in ["01", "+1", "%31", "1.0", "", "18446744073709551616"] {
            let path = format!("/v1/questions/{path}/states");
            assert_eq!(question_in_path(&path), None, "{path}");
        }
    }
}
