use super::*;
use crate::test_folder::test_folder;

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

fn terms(required: Option<&str>, unsigned: bool) -> TrustTerms {
    TrustTerms {
        url: "http://genomaster/".to_owned(),
        required: required.map(str::to_owned),
        unsigned,
    }
}

fn open(file: &std::path::Path) -> ChainScores {
    ChainScores::open(file.to_owned(), &terms(None, false)).unwrap()
}

fn trusted(hotkey: Option<&str>) -> TrustedGenomaster {
    TrustedGenomaster {
        url: terms(None, false).url,
        hotkey: hotkey.map(str::to_owned),
    }
}

fn epoch(run: Digest, number: usize, rewards: &[(&str, f32)]) -> EpochWeights {
    let rewards = rewards.iter();
    EpochWeights {
        run,
        epoch: number,
        jobs: number,
        weights: BTreeMap::new(),
        rewards: rewards
            .map(|(name, reward)| (name.parse().unwrap(), *reward))
            .collect(),
        work: BTreeMap::new(),
    }
}

/// An epoch of 50 jobs, with the work of rewarded answers.
fn worked(run: Digest, number: usize, work: &[(&str, f64)]) -> EpochWeights {
    let work = work
        .iter()
        .map(|(name, work)| (name.parse().unwrap(), *work));
    EpochWeights {
        jobs: 50 * number,
        work: work.collect(),
        ..epoch(run, number, &[])
    }
}

#[test]
fn jobs_of_many_runs_count_once_by_their_work() {
    let dir = test_folder("chain-scores-many");
    let file = dir.join("scores.json");
    let (small, large) = (Digest([1; 32]), Digest([2; 32]));
    // Alice has trained many small networks, Bob as much work in few large ones.
    let small = [
        worked(small, 1, &[(ALICE, 300.0), ("name", 9.0)]),
        worked(small, 2, &[(ALICE, 1.0)]),
    ];
    let large = [worked(large, 1, &[(BOB, 300.0)])];
    let mut scores = open(&file);
    scores.update_many(small[0].run, &small[..1]).unwrap();
    assert!(scores.stored.now.scores().is_empty());
    scores.update_many(large[0].run, &large).unwrap();
    let score = |scores: &ChainScores, name: &str| {
        scores.stored.now.scores()[&name.parse::<MinerId>().unwrap()]
    };
    assert_eq!(score(&scores, ALICE), score(&scores, BOB));
    assert!((score(&scores, ALICE) - 0.05).abs() < 1e-6);
    // Again, after a restart: nothing is counted twice.
    let mut scores = open(&file);
    for epochs in [&small[..1], &large[..]] {
        scores.update_many(epochs[0].run, epochs).unwrap();
    }
    assert!((score(&scores, ALICE) - 0.05).abs() < 1e-6);
    assert_eq!(scores.stored.many.jobs, 0);
    scores.update_many(small[0].run, &small).unwrap();
    assert_eq!(scores.stored.many.jobs, 50);
    // A run that is validated alone afterwards goes on from there.
    let run = Digest([3; 32]);
    scores.update(run, &[epoch(run, 1, &[(BOB, 1.0)])]).unwrap();
    assert!((score(&scores, BOB) - 0.145).abs() < 1e-6);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn scores_go_on_across_runs_and_restarts_and_absence_never_improves_one() {
    let dir = test_folder("chain-scores");
    let file = dir.join("scores.json");
    let (first, second) = (Digest([1; 32]), Digest([2; 32]));
    let mut scores = open(&file);
    let score = |scores: &ChainScores, name: &str| {
        let all = scores.stored.now.scores();
        all.get(&name.parse::<MinerId>().unwrap()).copied()
    };
    let one = epoch(first, 1, &[(ALICE, 0.5), (BOB, 0.5), ("ada", 0.5)]);
    scores.update(first, std::slice::from_ref(&one)).unwrap();
    scores.update(first, &[one]).unwrap();
    assert_eq!(score(&scores, ALICE), Some(0.05));
    assert_eq!(score(&scores, "ada"), None);
    // A restart, and a run in which only one of them works.
    let mut scores = open(&file);
    let alone = |number| epoch(second, number, &[(BOB, 1.0)]);
    let mut last = score(&scores, ALICE).unwrap();
    for count in 1..=5 {
        let epochs: Vec<_> = (1..=count).map(alone).collect();
        scores.update(second, &epochs).unwrap();
        let now = score(&scores, ALICE).unwrap();
        assert!(now < last, "{now}");
        last = now;
    }
    assert!(score(&scores, BOB).unwrap() > 0.05);
    // The first run again is not paid twice.
    let before = scores.stored.clone();
    scores
        .update(first, &[epoch(first, 1, &[(ALICE, 1.0)])])
        .unwrap();
    assert_eq!(scores.stored, before);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Otherwise they would be refused at every block until a score changes.
#[test]
fn limited_weights_stay_within_the_limit_when_they_are_rounded() {
    for (count, limit) in (3..=256).flat_map(|count| [1_000, 6_553, 30_000].map(|l| (count, l))) {
        let mut limits = WeightLimits::default();
        limits.max_share_u16 = limit;
        if count * u64::from(limit) <= u64::from(u16::MAX) {
            continue;
        }
        let scores: Vec<f32> = (1..=count).map(|place| 1.0 / place as f32).collect();
        let weights = rounded_weights(&scores, &limits).unwrap();
        let sum: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let share = 65_535.0 / sum as f64;
        assert!(share <= f64::from(limit) / 65_535.0, "{count} {limit}");
        assert_eq!(weights.len() as u64, count);
    }
}

#[test]
fn scores_are_not_used_before_the_genomaster_is_trusted_and_while_it_is_not() {
    let dir = test_folder("chain-refusal");
    let mut scores = open(&dir.join("scores.json"));
    let run = Digest([1; 32]);
    scores
        .update(run, &[epoch(run, 1, &[(ALICE, 0.5)])])
        .unwrap();
    let limits = WeightLimits::default();
    let hotkeys = [BOB, ALICE].map(|address| ss58::decode(address).unwrap());
    let weights = |scores: &ChainScores| scores.weights_of(&hotkeys, &limits).unwrap();
    assert!(matches!(weights(&scores), ChainWeights::Refused(_)));
    scores.trust(trusted(Some(BOB))).unwrap();
    let due = ChainWeights::Due(vec![(1, 65_535)]);
    assert_eq!(weights(&scores), due);
    // A restart changes nothing, unless the operator's flags do.
    let again = |terms: TrustTerms| {
        let scores = ChainScores::open(dir.join("scores.json"), &terms).unwrap();
        weights(&scores)
    };
    assert_eq!(again(terms(None, false)), due);
    assert_eq!(again(terms(Some(BOB), false)), due);
    let mut elsewhere = terms(None, false);
    elsewhere.url = "http://elsewhere/".to_owned();
    for other in [terms(Some(ALICE), false), elsewhere] {
        assert!(matches!(again(other), ChainWeights::Refused(_)));
    }
    let reason = "the genomaster has signed two histories";
    scores.refuse(reason.to_owned()).unwrap();
    assert_eq!(weights(&scores), ChainWeights::Refused(reason.to_owned()));
    assert!(matches!(again(terms(None, true)), ChainWeights::Refused(_)));
    // Without a hotkey only as long as the operator accepts that.
    scores.trust(trusted(None)).unwrap();
    assert_eq!(again(terms(None, true)), due);
    assert!(matches!(
        again(terms(None, false)),
        ChainWeights::Refused(_)
    ));
    std::fs::remove_dir_all(dir).unwrap();
}
