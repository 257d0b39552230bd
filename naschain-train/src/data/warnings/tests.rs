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
fn classes_with_the_same_pictures_are_named() {
    let test = || noisy(&labels([5, 5, 5]), levels, 2);
    let each = 150;
    let all: Vec<usize> = (0..3 * each).collect();
    let counts = labels([each; 3]);
    let images = noisy(&counts, levels, 1);
    let with = |change: fn(u8, usize) -> u8| {
        let mut pixels = images.pixels(&all).unwrap();
        let size = 16 * each;
        for at in size..2 * size {
            pixels[size + at] = change(pixels[at], at);
        }
        let train = Images::new(SHAPE.parse().unwrap(), pixels, counts.clone());
        warnings(train.unwrap(), test())
    };
    // As if stored in a format with losses.
    let found = with(|pixel, at| pixel - 1 + 2 * ((at + at / 16) % 2) as u8);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("classes fig and pear seem to hold the same pictures"));
    let found = with(|pixel, at| if at < 16 * 240 { pixel } else { pixel ^ 1 });
    assert!(found[0].starts_with("90 training images are in more than one class"));
    assert!(found[0].ends_with("60 % of the images of fig are also in pear"));
}

#[test]
fn classes_that_are_merely_hard_have_no_warning() {
    // The averages of fig and pear differ by chance only.
    let alike = |label| if label == 0 { 0 } else { 60 };
    for seed in 1..20 {
        let train = noisy(&labels([150; 3]), alike, seed);
        let test = noisy(&labels([5; 3]), alike, 100);
        assert_eq!(warnings(train, test), [""; 0], "seed {seed}");
    }
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
