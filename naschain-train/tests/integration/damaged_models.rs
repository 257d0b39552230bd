//! Model files and checkpoints with changed, missing, inserted or random bytes: loading either
//! succeeds or returns an error that names the file, and a loaded model computes logits or returns
//! an error about its tensors. PROPTEST_CASES sets the number of cases.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use naschain_core::{Architecture, Digest, MacroSpace, Recipe};
use naschain_train::{
    Checkpoint, Dataset, Epoch, Error, LinkedWeights, Model, Options, Weights, train_from,
};
use proptest::prelude::*;

/// A folder with a small model and a checkpoint, and the bytes of both.
struct ValidFiles {
    dir: PathBuf,
    model: Vec<u8>,
    description: Vec<u8>,
    checkpoint: Vec<u8>,
    linked: Vec<u8>,
    digest: Digest,
    training: (Architecture, Recipe),
}

fn valid_files() -> &'static ValidFiles {
    static FILES: OnceLock<ValidFiles> = OnceLock::new();
    FILES.get_or_init(|| {
        let name = format!("naschain-damaged-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let digits = Dataset::digits();
        let space = MacroSpace {
            phases: 1,
            nodes: 2,
            input: digits.shape,
            init_channels: 1,
            classes: 10,
        };
        let genome = "11".parse().unwrap();
        let mut recipe = Recipe::default();
        recipe.epochs = 1;
        recipe.train_images = 8;
        recipe.validation_images = 8;
        let architecture = space.decode(&genome).unwrap();
        let path = dir.join("checkpoint");
        let mut keep = |_: &Epoch, checkpoint: &Checkpoint| {
            checkpoint.save(&path).unwrap();
            ControlFlow::Continue(())
        };
        let options = Options::default();
        let trained = train_from(&architecture, &digits, &recipe, options, None, &mut keep);
        let trained = trained.unwrap();
        let digest = trained.measurement.digest;
        let linked = LinkedWeights::from(trained.clone()).to_bytes().unwrap();
        let model = Model::new(&space, &genome, &digits, &recipe, trained).unwrap();
        model.save(&dir.join("model.safetensors")).unwrap();
        ValidFiles {
            model: std::fs::read(dir.join("model.safetensors")).unwrap(),
            description: std::fs::read(dir.join("model.json")).unwrap(),
            checkpoint: std::fs::read(&path).unwrap(),
            linked,
            digest,
            training: (architecture, recipe),
            dir,
        }
    })
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Changed(Vec<(usize, u8)>),
    Inserted(usize, Vec<u8>),
    Random(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        prop::collection::vec((any::<usize>(), any::<u8>()), 1..4).prop_map(Damage::Changed),
        (any::<usize>(), bytes()).prop_map(|(place, bytes)| Damage::Inserted(place, bytes)),
        bytes().prop_map(Damage::Random),
    ]
}

impl Damage {
    fn to(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        match self {
            Damage::Cut(length) => bytes.truncate(length % whole.len()),
            Damage::Changed(changes) => {
                for (place, value) in changes {
                    // Half of them are in the header.
                    let most = [whole.len(), whole.len().min(600)][place % 2];
                    bytes[place % most] = *value;
                }
            }
            Damage::Inserted(place, more) => {
                let place = place % whole.len();
                bytes.splice(place..place, more.iter().copied());
            }
            Damage::Random(random) => bytes.clone_from(random),
        }
        bytes
    }
}

/// Asserts that the error names the file.
fn assert_named(error: &Error, path: &Path) {
    let text = error.to_string();
    let stem = path.with_extension("");
    assert!(text.contains(&*stem.to_string_lossy()), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn models(in_description in any::<bool>(), damage in damage()) {
        let whole = valid_files();
        let (tensors, json) = (whole.dir.join("a.safetensors"), whole.dir.join("a.json"));
        let damaged = |bytes: &[u8], here: bool| if here { damage.to(bytes) } else { bytes.to_vec() };
        std::fs::write(&tensors, damaged(&whole.model, !in_description)).unwrap();
        std::fs::write(&json, damaged(&whole.description, in_description)).unwrap();
        for path in [&tensors, &json] {
            match Model::load(path) {
                Ok(model) => {
                    let pixels = vec![0.0; model.space.input().len()];
                    // Tensors are checked when the network is built.
                    match model.logits(&pixels, Options::default()) {
                        Ok(logits) => prop_assert_eq!(logits.len(), model.space.classes()),
                        Err(error) => prop_assert!(matches!(error, Error::Weights { .. }), "{error}"),
                    }
                }
                Err(error) => assert_named(&error, path),
            }
        }
        if let Err(error) = Weights::load(&tensors) {
            assert_named(&error, &tensors);
        }
    }

    #[test]
    fn checkpoints(damage in damage()) {
        let whole = valid_files();
        let path = whole.dir.join("b");
        std::fs::write(&path, damage.to(&whole.checkpoint)).unwrap();
        if let Err(error) = Checkpoint::load(&path) {
            assert_named(&error, &path);
        }
        let (whole, bytes) = (&whole.training, damage.to(&whole.checkpoint));
        match Checkpoint::from_bytes(&bytes) {
            // At most the letters of hexadecimal digits or spaces of the header were changed.
            Ok(found) => found.check(&whole.0, &Dataset::digits(), &whole.1).unwrap(),
            Err(error) => prop_assert!(matches!(error, Error::Received { .. }), "{error}"),
        }
    }

    #[test]
    fn weights_with_their_link(damage in damage()) {
        let whole = valid_files();
        let bytes = damage.to(&whole.linked);
        let digest = whole.digest;
        match LinkedWeights::from_bytes(&bytes) {
            Ok(found) => match found.check(&whole.training.0, digest) {
                Ok(()) => {
                    let (sent, tensors) = (LinkedWeights::from_bytes(&whole.linked), &found.weights);
                    prop_assert_eq!(tensors, &sent.unwrap().weights);
                }
                Err(Error::Received { .. } | Error::Weights { .. }) => {}
                Err(error) => prop_assert!(false, "{error}"),
            },
            Err(error) => prop_assert!(matches!(error, Error::Received { .. }), "{error}"),
        }
    }
}
