//! Models of the digits for unit tests.

use std::ops::ControlFlow;

use naschain_core::{
    Augmentation, Genome, MicroSpace, MobileSpace, Purpose, Recipe, SearchSpace, Stream,
};

use crate::{Dataset, Model, Options, train};

/// A network that was trained for a second.
pub(crate) fn trained(space: &SearchSpace, genome: &Genome) -> Model {
    let digits = Dataset::digits();
    let mut recipe = Recipe::default();
    // Cutout would erase such small images.
    recipe.augmentation = Augmentation::default();
    (recipe.epochs, recipe.train_images, recipe.learning_rate) = (3, 512, 0.05);
    (recipe.validation_images, recipe.batch_size) = (10, 16);
    let network = space.decode(genome).unwrap();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let trained = train(&network, &digits, &recipe, Options::default(), &mut proceed).unwrap();
    Model::new(space, genome, &digits, &recipe, trained).unwrap()
}

/// Random networks of the micro and the mobile space.
pub(crate) fn of_layers() -> Vec<Model> {
    let digits = Dataset::digits();
    let (input, classes) = (digits.shape, digits.classes);
    let micro = MicroSpace {
        blocks: 4,
        layers: 3,
        input,
        init_channels: 4,
        classes,
    };
    let mobile = MobileSpace {
        stages: 2,
        depth: 2,
        input,
        init_channels: 8,
        classes,
    };
    let networks = (0..2).flat_map(|seed| {
        let spaces: [SearchSpace; 2] = [micro.clone().into(), mobile.clone().into()];
        spaces.map(|space| {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            trained(&space, &space.random_genome(&mut stream).unwrap())
        })
    });
    networks.collect()
}
