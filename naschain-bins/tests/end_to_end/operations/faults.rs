//! Genomasters killed at random moments, and miners killed, frozen, slowed and cut off: nothing
//! acknowledged is lost, nothing counts twice, and the front is that of an undisturbed run.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::programs::{Process, Server, call, folder, read, search, succeeded, wait_until};
use naschain_bins::{Client, ClientError, JournalPlace, read_spec};
use naschain_consensus::{Event, LeaseId, MinerId};
use naschain_core::{Purpose, Stream};
use naschain_run::{JobReply, RunSpec};

/// A search that is long enough for several kills.
const LONGER: [&str; 2] = ["--generations=10", "--population=6"];

/// Leases whose answers the genomaster has acknowledged.
type Acknowledged = Arc<Mutex<Vec<LeaseId>>>;

/// A miner that sleeps instead of training, and retries while the genomaster is away.
async fn simulated_miner(url: String, name: MinerId, training: Duration, taken: Acknowledged) {
    let client = Client::new(&url).unwrap();
    let again = || tokio::time::sleep(Duration::from_millis(20));
    let spec: RunSpec = loop {
        match client.run().await {
            Ok(spec) => break spec,
            Err(_) => again().await,
        }
    };
    let run = spec.digest();
    loop {
        if client.join(&name, run).await.is_err() {
            again().await;
            continue;
        }
        match client.request(&name, run, 2_000).await {
            Ok(JobReply::Job(job)) => {
                tokio::time::sleep(training / 2).await;
                let _ = client.heartbeat(&name, run, job.lease, 1).await;
                tokio::time::sleep(training / 2).await;
                let row = crate::operations::simulated::answer(&spec, &job);
                loop {
                    match client.submit(&name, job.run, job.lease, &row).await {
                        Ok(()) => taken.lock().unwrap().push(job.lease),
                        Err(ClientError::Unavailable(_)) => {
                            again().await;
                            continue;
                        }
                        Err(ClientError::Refused(_)) => {}
                    }
                    break;
                }
            }
            Ok(JobReply::Finished) => return,
            Ok(JobReply::Wait) => {}
            Err(_) => again().await,
        }
    }
}

fn finished(server: &Server) -> bool {
    let answer = call(server, "GET", "/v1/batches?after=1000000", "", "");
    answer.body.contains("\"finished\":true")
}

/// Runs the search with four simulated miners and kills the genomaster `kills` times; returns the
/// front.
fn front_after_kills(run: &Path, kills: usize, seed: u64) -> String {
    let mut server = Server::start_with(run, 0, &LONGER);
    let port = server.port();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let taken = Acknowledged::default();
    let miners: Vec<_> = (0..4)
        .map(|number| {
            let training = Duration::from_millis(20 + 7 * number as u64 + 2 * kills as u64);
            let name = crate::operations::simulated::miner(number);
            let miner = simulated_miner(server.url.clone(), name, training, taken.clone());
            runtime.spawn(miner)
        })
        .collect();
    let mut moments = Stream::new(seed, Purpose::Simulation, 0, 0);
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(moments.index(150) as u64 + 20));
        server.process.kill();
        server = Server::start_with(run, port, &LONGER);
    }
    wait_until("the search is finished", || finished(&server));
    let front = call(&server, "GET", "/v1/front", "", "").body;
    for miner in miners {
        runtime.block_on(miner).unwrap();
    }
    server.process.kill();
    let taken = taken.lock().unwrap().clone();
    assert!(taken.len() >= 100, "{} acknowledged", taken.len());
    runtime.block_on(nothing_is_lost_or_doubled(run, &taken));
    front
}

/// Every acknowledged answer is in the journal once, and every job ended once.
async fn nothing_is_lost_or_doubled(run: &Path, taken: &[LeaseId]) {
    let spec = read_spec(&run.join("run.json")).unwrap();
    let mut store = JournalPlace::of_run(run).read(spec.digest()).await.unwrap();
    let entries = store.entries(0, 1_000_000).await.unwrap();
    store.close().await.unwrap();
    let mut answers: BTreeMap<LeaseId, usize> = BTreeMap::new();
    let mut auditor = naschain_run::Auditor::new(spec, Default::default()).unwrap();
    for entry in &entries {
        if let Event::Submit { lease, .. } = serde_json::from_str(&entry.event).unwrap() {
            *answers.entry(lease).or_default() += 1;
        }
        auditor.verify_next(entry, &[]).unwrap();
    }
    for lease in taken {
        assert_eq!(
            answers.get(lease),
            Some(&1),
            "answers journaled for {lease}, which was acknowledged"
        );
    }
    assert!(answers.values().all(|times| *times == 1));
    let ended = auditor.state().ended_jobs();
    let mut jobs: Vec<_> = ended.iter().map(|ended| ended.job).collect();
    jobs.sort();
    jobs.dedup();
    assert_eq!((jobs.len(), ended.len()), (60, 60));
}

#[test]
fn a_genomaster_killed_at_random_moments_loses_and_doubles_nothing() {
    let dir = folder("kills");
    let calm = front_after_kills(&dir.join("calm"), 0, 0);
    assert!(calm.len() > 100, "{calm}");
    assert_eq!(front_after_kills(&dir.join("killed"), 5, 1), calm);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The seed of the moments is `NASCHAIN_SEED`, or 1.
#[test]
#[ignore = "restarts the genomaster 50 times, which takes up to a minute"]
fn fifty_kills() {
    let dir = folder("fifty-kills");
    let seed = std::env::var("NASCHAIN_SEED").map_or(1, |seed| seed.parse().unwrap());
    let calm = front_after_kills(&dir.join("calm"), 0, 0);
    assert_eq!(front_after_kills(&dir.join("killed"), 50, seed), calm);
    std::fs::remove_dir_all(dir).unwrap();
}

fn signal(process: &Process, signal: &str) {
    let pid = process.0.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}

/// Forwards bytes between a miner and the genomaster, unless it is cut.
struct Wire {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(port: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Wire {
            port: listener.local_addr().unwrap().port(),
            cut: Arc::default(),
        };
        let cut = wire.cut.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                pass(
                    near.try_clone().unwrap(),
                    far.try_clone().unwrap(),
                    cut.clone(),
                );
                pass(far, near, cut.clone());
            }
        });
        wire
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            // As on a broken cable, nothing arrives and nothing is refused.
            while cut.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn miners_killed_frozen_slowed_and_cut_off_change_nothing() {
    let dir = folder("miners");
    let run = dir.join("run");
    let server = Server::start_with(&run, 0, &["--seed=8"]);
    let wire = Wire::to(server.port());
    let mut far = crate::programs::miner();
    let url = format!("http://127.0.0.1:{}", wire.port);
    let _far = Process::start(far.args(["--genomaster", &url, "--name", "far"]));
    let slow = server.miner("slow");
    let frozen = server.miner("frozen");
    let mut killed = server.miner("killed");
    let ended = || read(run.join("history.jsonl")).lines().count();
    wait_until("a job has ended", || ended() >= 1);
    signal(&frozen, "-STOP");
    killed.kill();
    wire.cut.store(true, Relaxed);
    let _steady = server.miner("steady");
    let _other = server.miner("other");
    // Frozen and cut off for longer than a lease; slow for half of every tenth of a second.
    for _ in 0..40 {
        signal(&slow, "-STOP");
        std::thread::sleep(Duration::from_millis(50));
        signal(&slow, "-CONT");
        std::thread::sleep(Duration::from_millis(50));
    }
    signal(&frozen, "-CONT");
    wire.cut.store(false, Relaxed);
    let _again = server.miner("killed");
    wait_until("the front is written", || run.join("front.json").exists());
    assert_eq!(ended(), 12);
    let alone = dir.join("alone");
    succeeded(search(&alone, &["--seed=8"]).output().unwrap());
    assert_eq!(read(run.join("front.json")), read(alone.join("front.json")));
    std::fs::remove_dir_all(dir).unwrap();
}
