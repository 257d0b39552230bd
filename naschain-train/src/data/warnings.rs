//! Warnings about suspicious data.

use naschain_core::Shape;

use super::{Dataset, Images};
use crate::Error;

/// A class of fewer training images is too small to be learnt well.
const FEW_IMAGES: usize = 20;
/// How many times as many images the largest class may have as the smallest.
const MAX_IMBALANCE: usize = 40;
/// Classes of fewer training images are not compared with each other: their averages say too little.
const MIN_COMPARED: usize = 100;
/// More classes are not compared, because the number of pairs grows with their square.
const MAX_COMPARED: usize = 1000;
/// Classes look alike if the squared distance of their average images is less than this multiple of
/// what two random samples of one class are expected to have. Among pairs of classes of CIFAR-10
/// with 200 images each, the median is 15, and 5 % are below 2.9.
const MAX_ALIKE: f64 = 1.5;
/// Cells per side of the thumbnails that are averaged.
const GRID: usize = 8;
/// Images read at a time.
const CHUNK: usize = 64;
/// How many classes a warning names.
const MAX_NAMED: usize = 10;

/// The warnings about a data set.
pub(super) fn of(dataset: &Dataset) -> Result<Vec<String>, Error> {
    let train = Survey::of(&dataset.train, dataset.classes)?;
    let test = Survey::of(&dataset.test, dataset.classes)?;
    let mut warnings = Vec::new();
    warnings.extend(few_images(dataset, &train));
    warnings.extend(imbalance(dataset, &train));
    warnings.extend(one_colour([&train, &test]));
    warnings.extend(enlarged(dataset));
    warnings.extend(in_both(&train, &test));
    warnings.extend(in_two_classes(&train));
    warnings.extend(alike(dataset, &train));
    warnings.extend(ignored(dataset));
    Ok(warnings)
}

/// What one pass over some images finds.
struct Survey<'a> {
    images: &'a Images,
    per_class: Vec<usize>,
    /// The first bytes of BLAKE3 of the pixels of each image that is not of one colour, and its
    /// index, sorted.
    digests: Vec<([u8; 16], usize)>,
    /// Indices of images whose pixels are all equal.
    one_colour: Vec<usize>,
    /// How many of these are black.
    black: usize,
    thumbnails: Vec<Thumbnails>,
}

/// Sums of the thumbnails of a class, by cell.
#[derive(Clone, Default)]
struct Thumbnails {
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl<'a> Survey<'a> {
    fn of(images: &'a Images, classes: usize) -> Result<Survey<'a>, Error> {
        let compared = if classes <= MAX_COMPARED { classes } else { 0 };
        let mut survey = Survey {
            images,
            per_class: vec![0; classes],
            digests: Vec::new(),
            one_colour: Vec::new(),
            black: 0,
            thumbnails: vec![Thumbnails::default(); compared],
        };
        let all: Vec<usize> = (0..images.len()).collect();
        for indices in all.chunks(CHUNK) {
            let pixels = images.pixels(indices)?;
            let each = pixels.chunks_exact(images.shape().len());
            for (&index, pixels) in indices.iter().zip(each) {
                survey.add(index, pixels);
            }
        }
        survey.digests.sort_unstable();
        Ok(survey)
    }

    fn add(&mut self, index: usize, pixels: &[u8]) {
        let class = usize::from(self.images.labels()[index]);
        self.per_class[class] += 1;
        let shape = self.images.shape();
        let is_one_colour = |plane: &[u8]| plane.iter().all(|pixel| *pixel == plane[0]);
        let mut planes = pixels.chunks_exact(shape.height * shape.width);
        if planes.all(is_one_colour) {
            self.one_colour.push(index);
            self.black += usize::from(pixels.iter().all(|pixel| *pixel == 0));
        } else {
            let mut digest = [0; 16];
            digest.copy_from_slice(&blake3::hash(pixels).as_bytes()[..16]);
            self.digests.push((digest, index));
        }
        if let Some(thumbnails) = self.thumbnails.get_mut(class) {
            thumbnails.add(pixels, shape);
        }
    }

    /// The images with these pixels.
    fn equal(&self, digest: &[u8; 16]) -> &[([u8; 16], usize)] {
        let first = self.digests.partition_point(|(other, _)| other < digest);
        let rest = &self.digests[first..];
        let count = rest.partition_point(|(other, _)| other == digest);
        &rest[..count]
    }
}

impl Thumbnails {
    fn add(&mut self, pixels: &[u8], shape: Shape) {
        let (rows, columns) = (shape.height.min(GRID), shape.width.min(GRID));
        let cells = shape.channels * rows * columns;
        let mut sums = vec![0u64; cells];
        for (line, values) in pixels.chunks_exact(shape.width).enumerate() {
            let (channel, y) = (line / shape.height, line % shape.height);
            let first = (channel * rows + y * rows / shape.height) * columns;
            for (x, &value) in values.iter().enumerate() {
                sums[first + x * columns / shape.width] += u64::from(value);
            }
        }
        self.sums.resize(cells, 0.0);
        self.squares.resize(cells, 0.0);
        for (cell, sum) in sums.into_iter().enumerate() {
            self.sums[cell] += sum as f64;
            self.squares[cell] += sum as f64 * sum as f64;
        }
    }

    /// The variance of the mean of `count` thumbnails, summed over the cells.
    fn variance_of_mean(&self, count: f64) -> f64 {
        let cells = self.sums.iter().zip(&self.squares);
        let variance = cells.map(|(sum, squares)| (squares - sum * sum / count).max(0.0));
        variance.sum::<f64>() / (count - 1.0) / count
    }
}

fn class_name(dataset: &Dataset, class: usize) -> String {
    let name = dataset.class_names().get(class).cloned();
    name.unwrap_or_else(|| class.to_string())
}

fn few_images(dataset: &Dataset, train: &Survey<'_>) -> Option<String> {
    let counts = train.per_class.iter().enumerate();
    let few: Vec<String> = counts
        .filter(|(_, count)| **count < FEW_IMAGES)
        .map(|(class, count)| format!("{} ({count})", class_name(dataset, class)))
        .collect();
    let more = match few.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = few[..few.len().min(MAX_NAMED)].join(", ");
    let classes = counted(few.len(), "class has", "classes have");
    (!few.is_empty())
        .then(|| format!("{classes} fewer than {FEW_IMAGES} training images: {named}{more}"))
}

fn imbalance(dataset: &Dataset, train: &Survey<'_>) -> Option<String> {
    let counts = || train.per_class.iter().copied().enumerate();
    let (large, most) = counts().max_by_key(|(_, count)| *count)?;
    let (small, fewest) = counts().min_by_key(|(_, count)| *count)?;
    let [large, small] = [large, small].map(|class| class_name(dataset, class));
    (most >= MAX_IMBALANCE * fewest).then(|| {
        format!(
            "class {large} has {most} training images and class {small} has {fewest}: a network \
             can be {:.1} % right without recognising {small}",
            100.0 - 100.0 * fewest as f64 / train.images.len().max(1) as f64
        )
    })
}

fn one_colour(parts: [&Survey<'_>; 2]) -> Option<String> {
    let count: usize = parts.iter().map(|part| part.one_colour.len()).sum();
    let black: usize = parts.iter().map(|part| part.black).sum();
    let mut of_part = parts
        .iter()
        .filter_map(|part| Some(part.images.place(*part.one_colour.first()?)));
    let first = of_part.next()?;
    let images = counted(count, "image is", "images are");
    Some(format!(
        "{images} of a single colour, {black} of them black, for example {first}"
    ))
}

fn enlarged(dataset: &Dataset) -> Option<String> {
    let files = [&dataset.train, &dataset.test].map(Images::files);
    let count: usize = files.iter().flatten().map(|files| files.enlarged).sum();
    let images = counted(count, "image is", "images are");
    (count > 0).then(|| {
        format!(
            "{images} smaller than {}, the input of the networks, and enlarged; a smaller \
             --image-size is faster",
            dataset.shape
        )
    })
}

fn in_both(train: &Survey<'_>, test: &Survey<'_>) -> Option<String> {
    let same = test.digests.iter().filter_map(|(digest, index)| {
        let (_, of_train) = train.equal(digest).first()?;
        Some((*index, *of_train))
    });
    let same: Vec<(usize, usize)> = same.collect();
    let (of_test, of_train) = same.iter().min()?;
    let images = counted(same.len(), "test image is", "test images are");
    Some(format!(
        "{images} also among the training images, so the test accuracy will be too high, for \
         example {} and {}",
        test.images.place(*of_test),
        train.images.place(*of_train)
    ))
}

fn in_two_classes(train: &Survey<'_>) -> Option<String> {
    let label = |entry: &([u8; 16], usize)| train.images.labels()[entry.1];
    let groups = train.digests.chunk_by(|a, b| a.0 == b.0);
    let mixed = groups.filter(|group| group.iter().any(|entry| label(entry) != label(&group[0])));
    let mixed: Vec<&[([u8; 16], usize)]> = mixed.collect();
    let first = mixed.iter().min_by_key(|group| group[0].1)?;
    let other = first
        .iter()
        .find(|entry| label(entry) != label(&first[0]))?;
    let images = counted(mixed.len(), "training image is", "training images are");
    Some(format!(
        "{images} in more than one class, for example {} and {}",
        train.images.place(first[0].1),
        train.images.place(other.1)
    ))
}

/// The classes whose average images are most alike, if they are more so than chance allows.
fn alike(dataset: &Dataset, train: &Survey<'_>) -> Option<String> {
    let classes: Vec<(usize, f64, f64)> = (0..train.thumbnails.len())
        .filter(|&class| train.per_class[class] >= MIN_COMPARED)
        .map(|class| {
            let count = train.per_class[class] as f64;
            (
                class,
                count,
                train.thumbnails[class].variance_of_mean(count),
            )
        })
        .collect();
    let mut most: Option<(f64, usize, usize)> = None;
    for (place, &(a, count_a, variance_a)) in classes.iter().enumerate() {
        for &(b, count_b, variance_b) in &classes[place + 1..] {
            let sums = [a, b].map(|class| &train.thumbnails[class].sums);
            let cells = sums[0].iter().zip(sums[1]);
            let distance: f64 = cells
                .map(|(of_a, of_b)| (of_a / count_a - of_b / count_b).powi(2))
                .sum();
            let ratio = distance / (variance_a + variance_b);
            // Not a number for classes of equal images of one kind, which are alike too.
            let is_alike = ratio.is_nan() || ratio < MAX_ALIKE;
            if is_alike && most.is_none_or(|(least, ..)| ratio < least) {
                most = Some((ratio, a, b));
            }
        }
    }
    let (_, a, b) = most?;
    Some(format!(
        "classes {} and {} look alike: their average images differ no more than chance; check \
         that their pictures were not mixed up",
        class_name(dataset, a),
        class_name(dataset, b)
    ))
}

fn ignored(dataset: &Dataset) -> Option<String> {
    let files = [&dataset.train, &dataset.test].map(Images::files);
    let count: usize = files.iter().flatten().map(|files| files.ignored).sum();
    let files = counted(count, "file is", "files are");
    (count > 0).then(|| format!("{files} ignored: not a picture file extension"))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Purpose, Stream};

    const SHAPE: &str = "1x4x4";

    /// Noisy images of the labels' grey levels, from the level of the first class upwards.
    fn noisy(labels: &[u16], level: impl Fn(u16) -> u8, seed: u64) -> Images {
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
        let mut pixels = Vec::new();
        for &label in labels {
            pixels.extend((0..16).map(|_| level(label) + stream.below(100) as u8));
        }
        Images::new(SHAPE.parse().unwrap(), pixels, labels.to_vec()).unwrap()
    }

    fn warnings(train: Images, test: Images) -> Vec<String> {
        let names = ["apple", "fig", "pear"].map(str::to_owned).to_vec();
        let dataset = Dataset::new("fruit", 3, train, test).unwrap();
        of(&dataset.with_class_names(names).unwrap()).unwrap()
    }

    fn labels(counts: [usize; 3]) -> Vec<u16> {
        let each = (0..).zip(counts);
        each.flat_map(|(label, count)| vec![label; count]).collect()
    }

    fn levels(label: u16) -> u8 {
        50 * label as u8
    }

    #[test]
    fn good_data_has_no_warnings() {
        let train = noisy(&labels([120, 130, 100]), levels, 1);
        let test = noisy(&labels([5, 5, 5]), levels, 2);
        assert_eq!(warnings(train, test), [""; 0]);
        assert_eq!(Dataset::digits().warnings().unwrap(), [""; 0]);
    }

    #[test]
    fn thin_and_unbalanced_classes_are_named() {
        let train = noisy(&labels([800, 19, 20]), levels, 1);
        let test = noisy(&labels([5, 5, 5]), levels, 2);
        assert_eq!(
            warnings(train, test),
            [
                "1 class has fewer than 20 training images: fig (19)",
                "class apple has 800 training images and class fig has 19: a network can be 97.7 % \
                 right without recognising fig"
            ]
        );
    }

    #[test]
    fn classes_that_look_alike_are_named() {
        let alike = |label| if label == 0 { 0 } else { 60 };
        let train = noisy(&labels([150, 150, 150]), alike, 1);
        let found = warnings(train, noisy(&labels([5, 5, 5]), alike, 2));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("classes fig and pear look alike"),
            "{found:?}"
        );
    }

    #[test]
    fn repeated_and_single_coloured_images_are_named() {
        let of = |images: &Images, count: usize| -> Vec<u8> {
            let indices: Vec<usize> = (0..count).collect();
            images.pixels(&indices).unwrap()
        };
        let (counts, shape) = (labels([30, 30, 30]), SHAPE.parse().unwrap());
        let first = noisy(&counts, levels, 1);
        let mut pixels = of(&first, 90);
        // Image 2 of apple is image 40, a fig; images 3 and 4 are of one colour.
        pixels.copy_within(2 * 16..3 * 16, 40 * 16);
        pixels[3 * 16..4 * 16].fill(0);
        pixels[4 * 16..5 * 16].fill(7);
        let train = Images::new(shape, pixels, counts).unwrap();
        // The first two test images are training images.
        let other = noisy(&labels([3, 3, 3]), levels, 2);
        let mut pixels = of(&other, 9);
        pixels[..32].copy_from_slice(&of(&train, 2));
        let test = Images::new(shape, pixels, labels([3, 3, 3])).unwrap();
        assert_eq!(
            warnings(train, test),
            [
                "2 images are of a single colour, 1 of them black, for example image 3",
                "2 test images are also among the training images, so the test accuracy will be \
                 too high, for example image 0 and image 0",
                "1 training image is in more than one class, for example image 2 and image 40"
            ]
        );
    }
}
