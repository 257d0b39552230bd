//! A training that was stopped and resumed from a checkpoint ends with the same bits.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;

use naschain_core::{Architecture, MacroSpace, Recipe};
use naschain_train::{Checkpoint, Dataset, Epoch, Error, Options, Trained, train, train_from};

const EPOCHS: u32 = 4;

fn architecture(genome: &str) -> Architecture {
    let space = MacroSpace {
        phases: 2,
        nodes: 3,
        input: "1x8x8".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    };
    space.decode(&genome.parse().unwrap()).unwrap()
}

/// Every option is enabled, so that resuming covers all of them.
fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.epochs = EPOCHS;
    recipe.batch_size = 48;
    recipe.train_images = 200;
    recipe.validation_images = 200;
    recipe.learning_rate = 0.05;
    recipe.augmentation.crop_padding = 1;
    recipe.augmentation.horizontal_flip = true;
    recipe.augmentation.cutout = 2;
    recipe.label_smoothing = 0.1;
    (recipe.warmup_epochs, recipe.rungs) = (1, vec![2, 3]);
    recipe.drop_path = 0.3;
    recipe.nesterov = true;
    recipe
}

/// Trains from `start` and stops after epoch `last`. Returns the result, the last checkpoint and
/// all epochs.
fn run(
    start: Option<Checkpoint>,
    last: u32,
) -> (Result<Trained, Error>, Option<Checkpoint>, Vec<Epoch>) {
    let (mut kept, mut epochs) = (None, Vec::new());
    let mut on_epoch = |epoch: &Epoch, checkpoint: &Checkpoint| {
        kept = Some(checkpoint.clone());
        epochs.push(*epoch);
        if epoch.number == last {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let (architecture, digits) = (architecture("1110-1111"), Dataset::digits());
    let options = Options::default();
    let result = train_from(
        &architecture,
        &digits,
        &recipe(),
        options,
        start,
        &mut on_epoch,
    );
    (result, kept, epochs)
}

fn whole() -> (Trained, Vec<Epoch>) {
    let mut epochs = Vec::new();
    let mut on_epoch = |epoch: &Epoch| {
        epochs.push(*epoch);
        ControlFlow::Continue(())
    };
    let (architecture, digits) = (architecture("1110-1111"), Dataset::digits());
    let options = Options::default();
    let trained = train(&architecture, &digits, &recipe(), options, &mut on_epoch).unwrap();
    (trained, epochs)
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("naschain-{name}-{}", std::process::id()))
}

#[test]
fn resuming_after_any_epoch_gives_the_same_bits() {
    let (trained, epochs) = whole();
    let path = file("checkpoint");
    for last in 1..=EPOCHS {
        let (stopped, checkpoint, _) = run(None, last);
        match last {
            // Stopping after the last epoch does not interrupt the training.
            EPOCHS => assert_eq!(stopped.unwrap(), trained),
            _ => assert!(matches!(stopped, Err(Error::Stopped { epoch }) if epoch == last)),
        }
        let checkpoint = checkpoint.unwrap();
        let done = &epochs[last as usize - 1];
        assert_eq!(
            (checkpoint.epoch(), checkpoint.digest()),
            (last, done.digest)
        );
        checkpoint.save(&path).unwrap();
        let loaded = Checkpoint::load(&path).unwrap();
        assert_eq!(loaded, checkpoint);
        let (resumed, _, rest) = run(Some(loaded), EPOCHS);
        assert_eq!(resumed.unwrap(), trained);
        assert_eq!(rest, epochs[last as usize..]);
    }
    std::fs::remove_file(&path).unwrap();
}

/// Helper process of [`another_process_resumes`]: resumes from the file that the environment names.
/// Without one it does nothing.
#[test]
fn resume_in_another_process() {
    let Some(path) = std::env::var_os("NASCHAIN_TEST_CHECKPOINT") else {
        return;
    };
    let checkpoint = Checkpoint::load(path.as_ref()).unwrap();
    let (trained, ..) = run(Some(checkpoint), EPOCHS);
    println!("digest={}", trained.unwrap().measurement.digest);
}

#[test]
fn another_process_resumes() {
    let path = file("checkpoint-of-another");
    run(None, 2).1.unwrap().save(&path).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "checkpoint::resume_in_another_process",
            "--nocapture",
        ])
        .env("NASCHAIN_TEST_CHECKPOINT", &path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let digest = printed.split("digest=").nth(1).unwrap();
    assert_eq!(digest[..64], whole().0.measurement.digest.to_string());
}

#[test]
fn checkpoints_of_other_trainings_are_rejected() {
    let checkpoint = run(None, 1).1.unwrap();
    let digits = Dataset::digits();
    let resume = |genome: &str, dataset: &Dataset, recipe: &Recipe| {
        let mut on_epoch = |_: &_, _: &_| ControlFlow::Continue(());
        let (architecture, options) = (architecture(genome), Options::default());
        train_from(
            &architecture,
            dataset,
            recipe,
            options,
            Some(checkpoint.clone()),
            &mut on_epoch,
        )
        .unwrap_err()
        .to_string()
    };
    let refused = |what| {
        format!(
            "the checkpoint belongs to a training with a different {what}; it can only be resumed by the same training"
        )
    };
    let other = resume("1110-1110", &digits, &recipe());
    assert_eq!(other, refused("architecture"));
    let mut longer = recipe();
    longer.epochs = EPOCHS + 1;
    assert_eq!(resume("1110-1111", &digits, &longer), refused("recipe"));
    let mut changed = digits.clone();
    changed.train = changed.test.clone();
    assert_eq!(
        resume("1110-1111", &changed, &recipe()),
        refused("data set")
    );
}

#[test]
fn damaged_files_are_rejected() {
    let path = file("checkpoint-damaged");
    let checkpoint = run(None, 1).1.unwrap();
    checkpoint.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    checkpoint.save(&path).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        whole,
        "equal checkpoints, equal files"
    );

    let problem = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Checkpoint::load(&path).unwrap_err().to_string()
    };
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(problem(&flipped).ends_with("damaged: its checksum does not match"));
    let epoch = whole.windows(9).position(|part| part == br#"epoch\":1"#);
    let mut later = whole.clone();
    later[epoch.unwrap() + 8] = b'2';
    assert!(problem(&later).ends_with("damaged: its checksum does not match"));
    assert!(problem(&whole[..whole.len() / 2]).contains("not a safetensors file"));
    assert!(problem(b"").contains("not a safetensors file"));
    checkpoint.weights().save(&path).unwrap();
    let weights = Checkpoint::load(&path).unwrap_err().to_string();
    assert!(
        weights.ends_with("this safetensors file is not a checkpoint"),
        "{weights}"
    );
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn file_name_identifies_the_training() {
    let digits = Dataset::digits();
    let name = |genome, recipe: &Recipe| Checkpoint::name(&architecture(genome), &digits, recipe);
    let ours = name("1110-1111", &recipe());
    assert_eq!(ours, name("1110-1111", &recipe()));
    assert_eq!(ours.len(), 64);
    assert_ne!(ours, name("1110-1110", &recipe()));
    assert_ne!(ours, name("1110-1111", &Recipe::default()));
}
