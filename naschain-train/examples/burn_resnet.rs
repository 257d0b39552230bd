//! A small residual network (He et al. 2016) of the exact layers, which is no genome. It trains to
//! the same bits twice, with any number of threads and with every instruction set:
//!
//!     cargo run --release -p naschain-train --features burn --example burn_resnet

use std::error::Error;

use burn::backend::{Autodiff, Flex};
use burn::lr_scheduler::LrScheduler;
use burn::module::Module;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use naschain_core::{Augmentation, Digest, Recipe};
use naschain_train::burn::{
    Conv3, ExactInitializer, ExactOps, ExactSchedule, ExactSgd, GlobalAverage, Join, Linear, Map,
    MaxPool2, MiniBatches, NormRelu, PixelConv3, cross_entropy, digest,
};
use naschain_train::{Dataset, Isa};
use rayon::ThreadPoolBuilder;

/// x + conv(relu(norm(conv(relu(norm(x)))))): the order of He et al.'s second paper.
#[derive(Module, Debug)]
struct Residual<B: Backend> {
    norms: [NormRelu<B>; 2],
    convs: [Conv3<B>; 2],
}

impl<B: ExactOps> Residual<B> {
    fn new(channels: usize, initial: &mut ExactInitializer<B>) -> Self {
        Residual {
            norms: [(); 2].map(|()| NormRelu::new(channels, initial)),
            convs: [(); 2].map(|()| Conv3::new(channels, initial)),
        }
    }

    fn forward(&self, x: &mut Map<B>, training: bool) -> Map<B> {
        let mut y = self.norms[0].forward(x, training);
        let mut y = self.convs[0].forward(&mut y);
        let mut y = self.norms[1].forward(&mut y, training);
        let mut y = self.convs[1].forward(&mut y);
        x.add(&mut y)
    }
}

#[derive(Module, Debug)]
struct ResNet<B: Backend> {
    stem: PixelConv3<B>,
    narrow: Residual<B>,
    widen: Join<B>,
    wide: Residual<B>,
    norm: NormRelu<B>,
    linear: Linear<B>,
}

impl<B: ExactOps> ResNet<B> {
    fn new(initial: &mut ExactInitializer<B>) -> Self {
        ResNet {
            stem: PixelConv3::new(1, 8, initial),
            narrow: Residual::new(8, initial),
            widen: Join::new(1, 8, 16, initial),
            wide: Residual::new(16, initial),
            norm: NormRelu::new(16, initial),
            linear: Linear::new(16, 10, initial),
        }
    }

    fn forward(&self, pixels: Tensor<B, 4>, isa: Isa, training: bool) -> Tensor<B, 2> {
        let mut x = self.stem.forward(pixels, isa);
        let mut x = self.narrow.forward(&mut x, training);
        let mut x = MaxPool2.forward(&mut x);
        let mut x = self.widen.forward(vec![&mut x]);
        let mut x = self.wide.forward(&mut x, training);
        let mut x = self.norm.forward(&mut x, training);
        self.linear.forward(&mut GlobalAverage.forward(&mut x))
    }
}

/// The digest after two epochs over a thousand digits.
fn trained(isa: Isa) -> Result<Digest, naschain_train::Error> {
    let device = Default::default();
    let digits = Dataset::digits();
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.batch_size) = (2, 64);
    (recipe.train_images, recipe.validation_images) = (1000, 397);
    recipe.augmentation = Augmentation::default();
    let mut network = ResNet::<Autodiff<Flex>>::new(&mut ExactInitializer::new(1, &device));
    let mini_batches = MiniBatches::new(&digits, &recipe)?;
    let mut optimizer = ExactSgd::<Flex>::new(&recipe);
    let mut schedule = ExactSchedule::new(&recipe, mini_batches.steps());
    let mut loss = 0.0;
    for epoch in 1..=recipe.epochs {
        loss = 0.0;
        for batch in mini_batches.epoch(epoch, 0) {
            let batch = batch?;
            let logits = network.forward(batch.images(&device), isa, true);
            let found = cross_entropy(logits, &batch.labels, recipe.label_smoothing);
            let gradients = GradientsParams::from_grads(found.mean.backward(), &network);
            network = optimizer.step(schedule.step(), network, gradients);
            loss += found.sum / recipe.train_images as f64;
        }
    }
    let found = digest(&network, Digest([0; 32]));
    println!(
        "{isa:?}, {} threads: loss {loss:.4}, {found}",
        rayon::current_num_threads()
    );
    Ok(found)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut digests = vec![trained(Isa::best())?];
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for threads in [1, 2, 4] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
            digests.push(pool.install(|| trained(isa))?);
        }
    }
    digests.dedup();
    match digests.len() {
        1 => Ok(()),
        found => Err(format!("{found} digests; there must be one").into()),
    }
}
