//! The UCI handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0), embedded; see
//! `data/README.md` in this crate.

use std::io::Read;

use naschain_core::{Purpose, Shape, Stream};

use super::{Dataset, Images};

const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");
const SHAPE: Shape = Shape {
    channels: 1,
    height: 8,
    width: 8,
};
const TEST_IMAGES: usize = 400;

pub(super) fn dataset() -> Dataset {
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE)
        .read_to_string(&mut text)
        .expect("the embedded file is whole: a test reads it");
    let rows: Vec<Vec<u8>> = text.lines().map(numbers).collect();
    // The file has no split: the test images are drawn with a fixed seed, independent of a run's.
    let order = Stream::new(0, Purpose::Split, 0, 0).permutation(rows.len());
    let (test, train) = order.split_at(TEST_IMAGES);
    let part = |indices: &[usize]| {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for &index in indices {
            pixels.extend_from_slice(&rows[index][..SHAPE.len()]);
            labels.push(u16::from(rows[index][SHAPE.len()]));
        }
        Images::new(SHAPE, pixels, labels)
    };
    let dataset = |train, test| Dataset::new("digits", 10, train, test);
    let parts = part(train).and_then(|train| dataset(train, part(test)?));
    parts.expect("the embedded file is whole: a test reads it")
}

fn numbers(line: &str) -> Vec<u8> {
    let number = |field: &str| {
        field
            .parse()
            .expect("the embedded file holds whole numbers")
    };
    line.split(',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_complete() {
        let data = dataset();
        assert_eq!((data.train.len(), data.test.len()), (1397, 400));
        let mut counts = [0; 10];
        for &label in data.train.labels().iter().chain(data.test.labels()) {
            counts[usize::from(label)] += 1;
        }
        // Images per class according to scikit-learn's documentation of load_digits.
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let all = |images: &Images| {
            let indices: Vec<usize> = (0..images.len()).collect();
            images.pixels(&indices).unwrap()
        };
        let pixels = [all(&data.train), all(&data.test)].concat();
        assert_eq!(pixels.len(), 1797 * 64);
        // The sum of scikit-learn's load_digits().data.
        let sum: u32 = pixels.into_iter().map(u32::from).sum();
        assert_eq!(sum, 561_718);
    }
}
