//! Attacks on the places of a run and on its pay: jobs that are taken and not trained, false answers,
//! and requests that an audit would not accept.

use std::sync::Arc;
use std::time::Duration;

use naschain_consensus::{LeaseId, MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_identity::Hotkey;
use naschain_run::{Exam, ExamRequest, HeartbeatRequest, JobReply, JobRequest, ResultRequest};

use crate::target::{Target, hotkey, join_body};

/// A hotkey that joined in the name of an attack.
struct Member {
    target: Arc<Target>,
    attack: &'static str,
    hotkey: Hotkey,
}

impl Member {
    async fn join(target: Arc<Target>, attack: &'static str, number: u64) -> Member {
        let member = Member {
            target,
            attack,
            hotkey: hotkey(attack, number),
        };
        member.send_join().await;
        member
    }

    /// Joins, after an examination if there is one: some hotkeys are worth a training to a real
    /// attacker too.
    async fn send_join(&self) {
        let (target, hotkey) = (&self.target, &self.hotkey);
        let join = async || {
            let body = join_body(target, hotkey, 1);
            target.attack(self.attack, hotkey, "/v1/join", body).await
        };
        let joined = join().await;
        let Some(exam) = joined.and_then(|body| serde_json::from_str::<Exam>(&body).ok()) else {
            return;
        };
        let Some(digest) = target.train_exam(&exam).await else {
            return;
        };
        let request = ExamRequest {
            miner: self.miner(),
            run: exam.run,
            exam: exam.exam,
            digest,
        };
        self.post("/v1/exam", request).await;
        join().await;
    }

    fn miner(&self) -> MinerId {
        self.hotkey.address().parse().expect("an address is a name")
    }

    async fn post(&self, path: &str, body: impl serde::Serialize) -> Option<String> {
        let body = serde_json::to_string(&body).expect("plain data");
        let (attack, hotkey) = (self.attack, &self.hotkey);
        self.target.attack(attack, hotkey, path, body).await
    }

    /// Waits up to five seconds for a job.
    async fn take(&self) -> Option<LeaseId> {
        let request = JobRequest {
            miner: self.miner(),
            wait_ms: 5_000,
            run: Some(self.target.run),
        };
        let reply = self.post("/v1/jobs", request).await?;
        match serde_json::from_str(&reply) {
            Ok(JobReply::Job(job)) => Some(job.lease),
            _ => None,
        }
    }

    /// Takes jobs without an end. A hotkey that gets none rests a second, and joins again in case
    /// that its place was lost.
    async fn take_next(&self) -> LeaseId {
        loop {
            if let Some(lease) = self.take().await {
                return lease;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.send_join().await;
        }
    }

    async fn answer(&self, lease: LeaseId, row: Row) {
        let path = format!("/v1/leases/{}/result", lease.0);
        let request = ResultRequest {
            miner: self.miner(),
            row: serde_json::to_value(row).expect("plain data"),
            run: Some(self.target.run),
        };
        self.post(&path, request).await;
    }
}

/// Takes jobs and never answers.
pub(crate) async fn forget(target: Arc<Target>, number: u64) {
    let member = Member::join(target, "forget", number).await;
    loop {
        member.take_next().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Takes jobs and answers that their training failed.
pub(crate) async fn fail(target: Arc<Target>, number: u64) {
    let member = Member::join(target, "fail", number).await;
    loop {
        let lease = member.take_next().await;
        let row = Row::Failed("out of memory".to_owned());
        member.answer(lease, row).await;
    }
}

/// Takes jobs and keeps them with heartbeats that report the first epoch.
pub(crate) async fn squat(target: Arc<Target>, number: u64) {
    let member = Member::join(target, "squat", number).await;
    loop {
        let lease = member.take_next().await;
        let path = format!("/v1/leases/{}/heartbeat", lease.0);
        let beat = HeartbeatRequest {
            miner: member.miner(),
            epoch: 1,
            run: Some(member.target.run),
        };
        while member.post(&path, &beat).await.is_some() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

/// Answers with a network that is perfect and costs nothing, then with 40 other answers.
pub(crate) async fn lie(target: Arc<Target>, number: u64) {
    let member = Member::join(target, "lie", number).await;
    loop {
        let lease = member.take_next().await;
        let perfect = Measurement {
            accuracy: Accuracy::from_hundredths(10_000).expect("100 % is an accuracy"),
            params: 1,
            flops: 1,
            digest: Digest([number as u8; 32]),
        };
        member.answer(lease, Row::Measured(perfect)).await;
        for other in 0..40 {
            let row = Row::Failed(format!("answer {other}"));
            member.answer(lease, row).await;
        }
    }
}

/// Joins by other spellings of the path; no response may be a success.
pub(crate) async fn respell(target: Arc<Target>, number: u64) {
    let hotkey = hotkey("respell", number);
    for path in [
        "/v1/join?x=1",
        "/v1/join?",
        "/v1/join/",
        "/v1//join",
        "/v1/jo%69n",
        "/V1/join",
        "/v1/leases/01/result",
        "/v1/leases/+1/result",
        "/v1/leases/%31/result",
    ]
    .into_iter()
    .cycle()
    {
        let body = join_body(&target, &hotkey, 1);
        target.attack("respell", &hotkey, path, body).await;
    }
}
