//! burn on its CUDA backend. Without a GPU and an emulated one, tests print that they were skipped:
//!
//!     scripts/emulated_gpu cargo test --profile link -p naschain-train --features cuda --test burn_cuda

use std::error::Error;
use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use burn::lr_scheduler::LrScheduler;
use burn::module::Module;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use naschain_core::{Augmentation, Digest, MacroSpace, Recipe};
use naschain_train::burn::{
    Conv3, Cuda, CudaAutodiff, ExactDevice, ExactInitializer, ExactOps, ExactSchedule, ExactSgd,
    GlobalAverage, Linear, Map, MaxPool2, MiniBatches, NormRelu, PixelConv3, cross_entropy, digest,
    train,
};
use naschain_train::{Dataset, Device, Isa, Options};

fn has_device() -> bool {
    let found = Device::Cuda(0).check();
    if let Err(error) = &found {
        println!("skipped: {error}");
    }
    found.is_ok()
}

#[test]
fn kernels_of_burn_run() {
    if !has_device() {
        return;
    }
    let device = Default::default();
    let ones = Tensor::<Cuda, 2>::ones([3, 5], &device);
    let column = Tensor::<Cuda, 2>::from_floats([[1.0], [2.0], [4.0]], &device);
    let product = (ones + Tensor::zeros([3, 5], &device)) * column;
    let turned = product.transpose().reshape([15]).into_data();
    let right: Vec<f32> = [1.0, 2.0, 4.0].repeat(5);
    assert_eq!(turned.to_vec::<f32>().unwrap(), right);
}

#[test]
fn the_digest_is_that_of_the_cpu() -> Result<(), Box<dyn Error>> {
    if !has_device() {
        return Ok(());
    }
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 2,
        nodes: 3,
        input: digits.shape,
        init_channels: 5,
        classes: digits.classes,
    };
    let architecture = space.decode(&"1111-1011".parse()?)?;
    let mut recipe = recipe();
    recipe.drop_path = 0.2;
    recipe.nesterov = true;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let right = naschain_train::train(&architecture, &digits, &recipe, options, &mut proceed)?;
    let place = ExactDevice {
        device: Default::default(),
        isa: Isa::best(),
    };
    let found = train::<CudaAutodiff>(&architecture, &digits, &recipe, &place, &mut proceed)?;
    assert_eq!(found, right);
    Ok(())
}

/// A network that is no genome.
#[derive(Module, Debug)]
struct Residual<B: Backend> {
    stem: PixelConv3<B>,
    norms: [NormRelu<B>; 2],
    conv: Conv3<B>,
    linear: Linear<B>,
}

impl<B: ExactOps> Residual<B> {
    fn new(initial: &mut ExactInitializer<B>) -> Self {
        Residual {
            stem: PixelConv3::new(1, 9, initial),
            norms: [(); 2].map(|()| NormRelu::new(9, initial)),
            conv: Conv3::new(9, initial),
            linear: Linear::new(9, 10, initial),
        }
    }

    fn forward(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        let mut x = self.stem.forward(pixels, Isa::best());
        let mut x = MaxPool2.forward(&mut x);
        let mut y = self.norms[0].forward(&mut x, true);
        let mut y: Map<B> = self.conv.forward(&mut y);
        let mut x = x.add(&mut y);
        let mut x = self.norms[1].forward(&mut x, true);
        self.linear.forward(&mut GlobalAverage.forward(&mut x))
    }
}

fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.batch_size) = (2, 48);
    (recipe.train_images, recipe.validation_images) = (130, 60);
    recipe.label_smoothing = 0.1;
    recipe.augmentation = Augmentation::default();
    recipe
}

fn residual_digest<B: ExactOps>() -> Result<Digest, naschain_train::Error> {
    let device = Default::default();
    let (digits, recipe) = (Dataset::digits(), recipe());
    let mut network = Residual::<Autodiff<B>>::new(&mut ExactInitializer::new(1, &device));
    let mini_batches = MiniBatches::new(&digits, &recipe)?;
    let mut optimizer = ExactSgd::<B>::new(&recipe);
    let mut schedule = ExactSchedule::new(&recipe, mini_batches.steps());
    for batch in mini_batches.epoch(1, 0) {
        let batch = batch?;
        let logits = network.forward(batch.images(&device));
        let loss = cross_entropy(logits, &batch.labels, recipe.label_smoothing);
        let gradients = GradientsParams::from_grads(loss.mean.backward(), &network);
        network = optimizer.step(schedule.step(), network, gradients);
    }
    Ok(digest(&network, Digest([0; 32])))
}

#[test]
fn layers_have_the_bits_of_the_cpu() -> Result<(), Box<dyn Error>> {
    if has_device() {
        assert_eq!(residual_digest::<Cuda>()?, residual_digest::<Flex>()?);
    }
    Ok(())
}
