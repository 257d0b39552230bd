//! Warnings about suspicious data.

use std::collections::{BTreeMap, BTreeSet};

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
/// Two classes are copies of each other if the squared distance of their average images is less than
/// this multiple of what two random samples of one class are expected to have. Among pairs of classes
/// of CIFAR-10 with 208 images each the least is 1.9 (cats and dogs), halves of one class have from
/// 0.25 to 5, of Fashion-MNIST from 0.11 to 7, and a class and its copy with noise 0.004 at most. So
/// classes that are merely hard cannot be told from classes that were mixed up, but copies can.
const COPIED: f64 = 0.02;
/// Cells per side of the thumbnails that are averaged.
const GRID: usize = 8;
/// Images read at a time.
const CHUNK: usize = 64;
/// From this share of its images a class is said to be in another one.
const MOSTLY: f64 = 0.5;
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
    warnings.extend(in_two_classes(dataset, &train));
    warnings.extend(copied(dataset, &train));
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

fn in_two_classes(dataset: &Dataset, train: &Survey<'_>) -> Option<String> {
    let label = |entry: &([u8; 16], usize)| train.images.labels()[entry.1];
    let groups = train.digests.chunk_by(|a, b| a.0 == b.0);
    let mixed = groups.filter(|group| group.iter().any(|entry| label(entry) != label(&group[0])));
    let mixed: Vec<&[([u8; 16], usize)]> = mixed.collect();
    let first = mixed.iter().min_by_key(|group| group[0].1)?;
    let other = first
        .iter()
        .find(|entry| label(entry) != label(&first[0]))?;
    let images = counted(mixed.len(), "training image is", "training images are");
    let example = format!(
        "{images} in more than one class, for example {} and {}",
        train.images.place(first[0].1),
        train.images.place(other.1)
    );
    Some(match most_shared(&mixed, train) {
        Some((share, a, b)) if share > MOSTLY => format!(
            "{example}; {:.0} % of the images of {} are also in {}",
            100.0 * share,
            class_name(dataset, a),
            class_name(dataset, b)
        ),
        _ => example,
    })
}

/// The largest share of a class's images that are in another class too, with both classes.
fn most_shared(groups: &[&[([u8; 16], usize)]], train: &Survey<'_>) -> Option<(f64, usize, usize)> {
    let mut counts = BTreeMap::new();
    for group in groups {
        let labels = group.iter().map(|entry| train.images.labels()[entry.1]);
        let labels: Vec<usize> = labels.map(usize::from).collect();
        let classes: BTreeSet<usize> = labels.iter().copied().collect();
        for &class in &labels {
            for &other in classes.iter().filter(|other| **other != class) {
                *counts.entry((class, other)).or_insert(0usize) += 1;
            }
        }
    }
    let shares = counts.into_iter();
    let shares = shares.map(|((a, b), count)| (count as f64 / train.per_class[a] as f64, a, b));
    // Of equal shares the first.
    shares.reduce(|most, next| if next.0 > most.0 { next } else { most })
}

/// The two classes whose average images are most alike, if chance cannot explain it: their pictures are
/// the same, stored in another format or slightly changed. Equal pixels are the case of
/// [`in_two_classes`].
fn copied(dataset: &Dataset, train: &Survey<'_>) -> Option<String> {
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
            if ratio < COPIED && most.is_none_or(|(least, ..)| ratio < least) {
                most = Some((ratio, a, b));
            }
        }
    }
    let (_, a, b) = most?;
    Some(format!(
        "classes {} and {} seem to hold the same pictures: their average images differ less than \
         those of any two samples would",
        class_name(dataset, a),
        class_name(dataset, b)
    ))
}

fn ignored(dataset: &Dataset) -> Option<String> {
    let files = [&dataset.train, &dataset.test].map(Images::files);
    let ignored = || {
        files
            .iter()
            .flatten()
            .flat_map(|files| files.ignored.iter())
    };
    let (count, first) = (ignored().count(), ignored().next()?.display());
    let files = counted(count, "file is", "files are");
    let of = if count == 1 { "" } else { "for example " };
    Some(format!(
        "{files} ignored: not a picture file extension: {of}{first}"
    ))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
