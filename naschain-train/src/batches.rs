//! Selection, order, augmentation and normalisation of images, computed on the host from named
//! random streams.

use naschain_core::{Augmentation, Purpose, Recipe, Shape, Stream};

use crate::data::Moments;
use crate::{Dataset, Error, Images};

/// The images of one training, as indices into the data set's training set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Images to train on.
    pub train: Vec<usize>,
    /// Images to validate on, disjoint from `train`; empty if the accuracy is measured on the test
    /// images.
    pub validation: Vec<usize>,
}

impl Split {
    /// Draws as many images as the recipe requires; without validation images, all in their order.
    ///
    /// # Errors
    /// [`Error::TooFewImages`] when the training set has fewer; [`Error::ImagesLeftOut`] when it has
    /// more than a recipe without validation images trains on.
    pub fn draw(dataset: &Dataset, recipe: &Recipe) -> Result<Split, Error> {
        let available = dataset.train.len();
        let (train, validation) = (recipe.train_images, recipe.validation_images);
        if train.saturating_add(validation) > available {
            return Err(Error::TooFewImages {
                name: dataset.name.clone(),
                train,
                validation,
                available,
            });
        }
        if recipe.is_measured_on_test() {
            // A choice of the images would depend on the seed, and two trainings of the same network
            // would not have the same data.
            if train < available {
                return Err(Error::ImagesLeftOut {
                    name: dataset.name.clone(),
                    train,
                    available,
                });
            }
            return Ok(Split {
                train: (0..available).collect(),
                validation: Vec::new(),
            });
        }
        let seed = recipe.split_seed.unwrap_or(recipe.seed);
        let order = Stream::new(seed, Purpose::Split, 0, 0).permutation(available);
        Ok(Split {
            train: order[..train].to_vec(),
            validation: order[train..train + validation].to_vec(),
        })
    }

    /// The images that a training's accuracy is measured on: the validation images, or the test set
    /// if there are none.
    pub(crate) fn evaluation_images<'a>(&self, dataset: &'a Dataset) -> (&'a Images, Vec<usize>) {
        if self.validation.is_empty() {
            (&dataset.test, (0..dataset.test.len()).collect())
        } else {
            (&dataset.train, self.validation.clone())
        }
    }

    /// The training images in the order of `epoch`, counted from 1.
    pub(crate) fn order(&self, seed: u64, epoch: u32) -> Vec<usize> {
        let mut order = self.train.clone();
        Stream::new(seed, Purpose::Shuffle, u64::from(epoch), 0).shuffle(&mut order);
        order
    }
}

/// Scales pixels so that each colour plane of the training set has mean 0 and standard deviation 1.
pub(crate) struct Normalisation {
    shape: Shape,
    /// For each plane, the normalised value of each of the 256 pixel values.
    tables: Vec<[f32; 256]>,
}

impl Normalisation {
    pub(crate) fn new(dataset: &Dataset) -> Normalisation {
        Normalisation {
            shape: dataset.shape,
            tables: dataset.train.moments().iter().map(Moments::table).collect(),
        }
    }

    /// Images × channels × height × width values, normalised and not augmented.
    pub(crate) fn plain(&self, images: &Images, indices: &[usize]) -> Result<Vec<f32>, Error> {
        self.batch(images, indices, |_| Transform::none())
    }

    /// The same with the random augmentation of `epoch`.
    pub(crate) fn augmented(
        &self,
        images: &Images,
        indices: &[usize],
        recipe: &Recipe,
        epoch: u32,
    ) -> Result<Vec<f32>, Error> {
        self.batch(images, indices, |index| {
            let epoch = u64::from(epoch);
            let mut stream = Stream::new(recipe.seed, Purpose::Augmentation, epoch, index as u64);
            Transform::draw(&recipe.augmentation, self.shape, &mut stream)
        })
    }

    fn batch(
        &self,
        images: &Images,
        indices: &[usize],
        transform: impl Fn(usize) -> Transform,
    ) -> Result<Vec<f32>, Error> {
        let pixels = images.pixels(indices)?;
        let mut batch = Vec::with_capacity(pixels.len());
        let mut columns = Vec::with_capacity(self.shape.width);
        for (pixels, &index) in pixels.chunks_exact(self.shape.len()).zip(indices) {
            let transform = transform(index);
            let planes = pixels.chunks_exact(self.shape.height * self.shape.width);
            for (plane, table) in planes.zip(&self.tables) {
                transform.apply(plane, table, self.shape, &mut columns, &mut batch);
            }
        }
        Ok(batch)
    }
}

/// The augmentation of one image.
struct Transform {
    shift: [i64; 2],
    mirrored: bool,
    /// First and last row, first and last column of the cut-out square; empty where last < first.
    cut: [i64; 4],
}

impl Transform {
    fn none() -> Transform {
        Transform {
            shift: [0, 0],
            mirrored: false,
            cut: [0, -1, 0, -1],
        }
    }

    fn draw(augmentation: &Augmentation, shape: Shape, stream: &mut Stream) -> Transform {
        let mut transform = Transform::none();
        let padding = augmentation.crop_padding as i64;
        if padding > 0 {
            transform.shift = [0; 2].map(|_| stream.below(2 * padding as u64 + 1) as i64 - padding);
        }
        if augmentation.horizontal_flip {
            transform.mirrored = stream.below(2) == 1;
        }
        let side = augmentation.cutout as i64;
        if side > 0 {
            let y = stream.index(shape.height) as i64 - side / 2;
            let x = stream.index(shape.width) as i64 - side / 2;
            transform.cut = [y, y + side - 1, x, x + side - 1];
        }
        transform
    }

    /// Appends an augmented and normalised colour plane to `output`; `columns` is a buffer that is
    /// reused from plane to plane.
    fn apply(
        &self,
        plane: &[u8],
        table: &[f32; 256],
        shape: Shape,
        columns: &mut Vec<Option<usize>>,
        output: &mut Vec<f32>,
    ) {
        let width = shape.width;
        let inside = |place: i64, size: usize| {
            let place = usize::try_from(place).ok();
            place.filter(|place| *place < size)
        };
        let column = |x: usize| {
            let x = if self.mirrored { width - 1 - x } else { x };
            inside(x as i64 + self.shift[1], width)
        };
        columns.clear();
        columns.extend((0..width).map(column));
        let [top, bottom, left, right] = self.cut;
        for y in 0..shape.height {
            let start = output.len();
            // Pixels outside the image are black, as in NSGA-Net's crop.
            match inside(y as i64 + self.shift[0], shape.height) {
                None => output.resize(start + width, table[0]),
                Some(y) => {
                    let row = &plane[y * width..][..width];
                    let pixel = |column: &Option<usize>| column.map_or(0, |x| row[x]);
                    output.extend(columns.iter().map(|x| table[usize::from(pixel(x))]));
                }
            }
            if (top..=bottom).contains(&(y as i64)) {
                for x in left.max(0)..=right.min(width as i64 - 1) {
                    output[start + x as usize] = 0.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn augmentation(crop_padding: usize, horizontal_flip: bool, cutout: usize) -> Augmentation {
        let mut augmentation = Augmentation::default();
        augmentation.crop_padding = crop_padding;
        augmentation.horizontal_flip = horizontal_flip;
        augmentation.cutout = cutout;
        augmentation
    }

    fn recipe(augmentation: Augmentation) -> Recipe {
        let mut recipe = Recipe::default();
        recipe.train_images = 1000;
        recipe.validation_images = 397;
        recipe.augmentation = augmentation;
        recipe
    }

    #[test]
    fn a_split_is_disjoint_and_depends_on_the_seed() {
        let digits = Dataset::digits();
        let mut recipe = recipe(Augmentation::default());
        let split = Split::draw(&digits, &recipe).unwrap();
        let mut all = [split.train.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1397).collect::<Vec<_>>());
        assert_ne!(split.order(1, 1), split.order(1, 2));
        recipe.seed = 2;
        assert_ne!(Split::draw(&digits, &recipe).unwrap(), split);
        recipe.train_images = 1001;
        let error = Split::draw(&digits, &recipe).unwrap_err().to_string();
        assert!(
            error.contains("1001 training and 397 validation"),
            "{error}"
        );
    }

    #[test]
    fn without_validation_images_all_others_are_trained_on_in_their_order() {
        let digits = Dataset::digits();
        let mut recipe = recipe(Augmentation::default());
        (recipe.train_images, recipe.validation_images) = (1397, 0);
        let split = Split::draw(&digits, &recipe).unwrap();
        assert!(split.train.iter().copied().eq(0..1397) && split.validation.is_empty());
        let (images, indices) = split.evaluation_images(&digits);
        assert!(images == &digits.test && indices.len() == 400);
        (recipe.seed, recipe.split_seed) = (8, Some(9));
        assert_eq!(Split::draw(&digits, &recipe).unwrap(), split);
        let refused = |train_images| {
            let mut recipe = recipe.clone();
            recipe.train_images = train_images;
            Split::draw(&digits, &recipe).unwrap_err().to_string()
        };
        assert_eq!(
            refused(1396),
            "with 0 validation images all 1397 training images of digits are trained on; \
             train-images is 1396, it must be 1397"
        );
        let error = refused(1398);
        assert!(error.contains("1398 training and 0 validation"), "{error}");
    }

    #[test]
    fn the_training_set_has_mean_0_and_deviation_1() {
        let digits = Dataset::digits();
        let all: Vec<usize> = (0..digits.train.len()).collect();
        let numbers = Normalisation::new(&digits)
            .plain(&digits.train, &all)
            .unwrap();
        let count = numbers.len() as f64;
        let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let square = numbers.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / count;
        assert!(
            mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6,
            "{mean} {square}"
        );
    }

    #[test]
    fn augmentation_is_keyed_by_image_and_epoch_not_by_batch() {
        let digits = Dataset::digits();
        let normalisation = Normalisation::new(&digits);
        let recipe = recipe(augmentation(1, true, 3));
        let make = |indices: &[usize], epoch| {
            let made = normalisation.augmented(&digits.train, indices, &recipe, epoch);
            made.unwrap()
        };
        assert_eq!(make(&[5, 9], 1)[64..], make(&[9], 1)[..]);
        assert_ne!(make(&[9], 1), make(&[9], 2));
        let plain = normalisation.plain(&digits.train, &[9]).unwrap();
        assert_ne!(make(&[9], 1), plain);
    }

    #[test]
    fn a_transform_shifts_mirrors_and_cuts() {
        let shape: Shape = "1x3x3".parse().unwrap();
        let table: [f32; 256] = std::array::from_fn(|value| value as f32);
        let plane: Vec<u8> = (1..=9).collect();
        let transform = Transform {
            shift: [1, 0],
            mirrored: true,
            cut: [0, 0, 0, 0],
        };
        let mut output = Vec::new();
        transform.apply(&plane, &table, shape, &mut Vec::new(), &mut output);
        assert_eq!(output, [0.0, 5.0, 4.0, 9.0, 8.0, 7.0, 0.0, 0.0, 0.0]);
    }

    /// A direct implementation: pads, crops, mirrors, normalises and cuts out whole images in turn.
    fn direct(plane: &[u8], transform: &Transform, padding: usize, shape: Shape) -> Vec<f32> {
        let (height, width) = (shape.height, shape.width);
        let mut padded = vec![vec![0; width + 2 * padding]; height + 2 * padding];
        for y in 0..height {
            padded[y + padding][padding..][..width].copy_from_slice(&plane[y * width..][..width]);
        }
        let [down, right] = transform
            .shift
            .map(|shift| (shift + padding as i64) as usize);
        let mut output = Vec::new();
        for (y, row) in padded[down..down + height].iter().enumerate() {
            let mut row = row[right..right + width].to_vec();
            if transform.mirrored {
                row.reverse();
            }
            let [top, bottom, left, right] = transform.cut;
            let cut = |x: usize| {
                let (y, x) = (y as i64, x as i64);
                y >= top && y <= bottom && x >= left && x <= right
            };
            let numbers = row.iter().enumerate();
            output.extend(
                numbers.map(|(x, &pixel)| if cut(x) { 0.0 } else { f32::from(pixel) + 1.0 }),
            );
        }
        output
    }

    proptest::proptest! {
        #[test]
        fn transforms_match_a_direct_implementation(
            seed: u64,
            height in 1..9usize,
            width in 1..9usize,
            crop_padding in 0..5usize,
            horizontal_flip: bool,
            cutout in 0..7usize,
        ) {
            let shape = Shape { channels: 1, height, width };
            let augmentation = augmentation(crop_padding, horizontal_flip, cutout);
            let mut stream = Stream::new(seed, Purpose::Augmentation, 1, 0);
            let transform = Transform::draw(&augmentation, shape, &mut stream);
            let table: [f32; 256] = std::array::from_fn(|value| value as f32 + 1.0);
            let plane: Vec<u8> = (0..height * width).map(|pixel| pixel as u8 + 1).collect();
            let mut output = Vec::new();
            transform.apply(&plane, &table, shape, &mut Vec::new(), &mut output);
            let expected = direct(&plane, &transform, crop_padding, shape);
            proptest::prop_assert_eq!(&output, &expected);
            let cut = output.iter().filter(|&&number| number == 0.0).count();
            proptest::prop_assert!(cut <= cutout * cutout);
            proptest::prop_assert_eq!(cut == 0, cutout == 0);
        }
    }
}
