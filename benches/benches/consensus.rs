//! The cost of judging a job, and of the ten events of a job on a board with many miners. The
//! throughput is in verdicts and in events.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use naschain_consensus::{
    Action, Agreement, Event, JobBoard, JobId, Millis, MinerId, Row, Rules, judge,
};
use naschain_core::{Accuracy, Digest, Measurement};

const MINERS: [usize; 3] = [100, 10_000, 100_000];
/// One opening; a request, a heartbeat and an answer of each of three miners.
const EVENTS: u64 = 10;

fn row(hundredths: u32) -> Row {
    Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
        params: 583_102,
        flops: 224_629_920,
        digest: Digest([7; 32]),
    })
}

fn verdict(criterion: &mut Criterion) {
    let agreement = Agreement::default();
    let mut group = criterion.benchmark_group("judge three rows");
    group.throughput(Throughput::Elements(1));
    for (name, rows) in [
        ("all agree", [row(9000), row(9040), row(9080)]),
        ("two agree", [row(9000), row(9080), row(8000)]),
        ("none agree", [row(9000), row(8500), row(8000)]),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| judge(black_box(&rows), &agreement));
        });
    }
    group.finish();
}

fn board(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("job on a board");
    group.throughput(Throughput::Elements(EVENTS));
    for miners in MINERS {
        let mut board = JobBoard::new(Rules::default(), 1).unwrap();
        for number in 0..miners {
            let miner = format!("miner-{number}").parse().unwrap();
            board.handle(Millis(0), Event::Join { miner }).unwrap();
        }
        let mut jobs = 0;
        let id = BenchmarkId::new("miners", miners);
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                jobs += 1;
                one_job(&mut board, jobs)
            });
        });
    }
    group.finish();
}

/// Opens a job, lets its three miners request, heartbeat and answer, and returns the closing action.
fn one_job(board: &mut JobBoard, number: u64) -> Action {
    let (now, job) = (Millis(number), JobId(number));
    let flops = 1_000_000;
    let opened = board.handle(now, Event::Open { job, flops }).unwrap();
    let Some(Action::Assigned { miners, .. }) = opened.last() else {
        panic!("{opened:?}");
    };
    let mut last = None;
    for miner in miners.iter().flatten() {
        last = work(board, now, miner);
    }
    match last {
        Some(closed @ Action::Closed { .. }) => closed,
        other => panic!("{other:?}"),
    }
}

fn work(board: &mut JobBoard, now: Millis, miner: &MinerId) -> Option<Action> {
    let miner = || miner.clone();
    let leased = board.handle(now, Event::Request { miner: miner() });
    let Some(Action::Leased { lease, .. }) = leased.unwrap().pop() else {
        panic!("the seat assigned to {} was not leased", miner());
    };
    let heartbeat = Event::Heartbeat {
        miner: miner(),
        lease,
        epoch: 1,
    };
    board.handle(now, heartbeat).unwrap();
    let submit = Event::Submit {
        miner: miner(),
        lease,
        row: row(9000),
    };
    board.handle(now, submit).unwrap().pop()
}

criterion_group!(benches, verdict, board);
criterion_main!(benches);
