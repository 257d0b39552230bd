//! CIFAR-10, binary version: one label byte and 3,072 pixel bytes an image
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::path::Path;

use naschain_core::Shape;

use super::{Dataset, Images, files};
use crate::Error;

const SHAPE: Shape = Shape {
    channels: 3,
    height: 32,
    width: 32,
};
const CLASSES: usize = 10;

pub(super) fn dataset(dir: &Path) -> Result<Dataset, Error> {
    let mut train = Images::default();
    for number in 1..=5 {
        append(&dir.join(format!("data_batch_{number}.bin")), &mut train)?;
    }
    let mut test = Images::default();
    append(&dir.join("test_batch.bin"), &mut test)?;
    Ok(Dataset {
        name: "cifar10".to_owned(),
        shape: SHAPE,
        classes: CLASSES,
        train,
        test,
    })
}

fn append(path: &Path, images: &mut Images) -> Result<(), Error> {
    let bytes = files::read(path)?;
    let record = 1 + SHAPE.len();
    let malformed = |problem| Error::Malformed {
        path: path.to_owned(),
        problem,
    };
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let found = bytes.len();
        return Err(malformed(format!(
            "{found} bytes are not a whole number of images of {record} bytes"
        )));
    }
    for (index, image) in bytes.chunks_exact(record).enumerate() {
        if image[0] as usize >= CLASSES {
            let found = image[0];
            return Err(malformed(format!(
                "label of image {index} is {found}; labels are 0 to 9"
            )));
        }
        images.labels.push(image[0]);
        images.pixels.extend_from_slice(&image[1..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(test: &str, last: &[u8]) -> Result<Dataset, Error> {
        let dir =
            std::env::temp_dir().join(format!("naschain-cifar-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for number in 1..=5u8 {
            let mut image = vec![number; 3073];
            image[1] = 255;
            std::fs::write(dir.join(format!("data_batch_{number}.bin")), image).unwrap();
        }
        std::fs::write(dir.join("test_batch.bin"), last).unwrap();
        let data = dataset(&dir);
        std::fs::remove_dir_all(dir).unwrap();
        data
    }

    #[test]
    fn batches_are_joined_in_order() {
        let data = load("good", &[7; 2 * 3073]).unwrap();
        assert_eq!(data.train.labels, [1, 2, 3, 4, 5]);
        assert_eq!((data.train.pixels[0], data.train.pixels[1]), (255, 1));
        assert_eq!(data.test.len(), 2);
    }

    #[test]
    fn malformed_files_are_refused_by_name() {
        let error = load("cut", &[7; 3072]).unwrap_err().to_string();
        assert!(
            error.contains("test_batch.bin: 3072 bytes are not"),
            "{error}"
        );
        let error = load("empty", &[]).unwrap_err().to_string();
        assert!(error.contains("0 bytes"), "{error}");
        let error = load("label", &[10; 3073]).unwrap_err().to_string();
        assert!(error.contains("label of image 0 is 10"), "{error}");
    }
}
