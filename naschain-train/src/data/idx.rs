//! The IDX files of the MNIST family: big-endian sizes, then bytes
//! (<https://yann.lecun.com/exdb/mnist/>).

use std::path::{Path, PathBuf};

use naschain_core::Shape;

use super::{Dataset, Images, files};
use crate::Error;

const CLASSES: usize = 10;

pub(super) fn dataset(name: &str, dir: &Path) -> Result<Dataset, Error> {
    let (train, shape) = part(dir, "train")?;
    let (test, test_shape) = part(dir, "t10k")?;
    if shape != test_shape {
        return Err(Error::Malformed {
            path: dir.to_owned(),
            problem: format!("training images are {shape}, test images {test_shape}"),
        });
    }
    Ok(Dataset {
        name: name.to_owned(),
        shape,
        classes: CLASSES,
        train,
        test,
    })
}

fn part(dir: &Path, prefix: &str) -> Result<(Images, Shape), Error> {
    let find = |suffix: &str| {
        let name = format!("{prefix}-{suffix}");
        files::either(dir, &name).ok_or_else(|| Error::Io {
            path: dir.join(name),
            source: std::io::ErrorKind::NotFound.into(),
        })
    };
    let images_path = find("images-idx3-ubyte")?;
    let labels_path = find("labels-idx1-ubyte")?;
    let (pixels, [count, height, width]) = values::<3>(&images_path)?;
    let (labels, [labelled]) = values::<1>(&labels_path)?;
    let malformed = |path: PathBuf, problem| Err(Error::Malformed { path, problem });
    if count != labelled {
        let problem = format!("{labelled} labels for {count} images");
        return malformed(labels_path, problem);
    }
    if count == 0 || height == 0 || width == 0 {
        return malformed(images_path, "there are no images in it".to_owned());
    }
    if let Some(index) = labels.iter().position(|&label| label as usize >= CLASSES) {
        let problem = format!("label {index} is {}; labels are 0 to 9", labels[index]);
        return malformed(labels_path, problem);
    }
    let shape = Shape {
        channels: 1,
        height,
        width,
    };
    Ok((Images { pixels, labels }, shape))
}

/// The values of an IDX file of unsigned bytes with `N` dimensions, and the dimensions.
fn values<const N: usize>(path: &Path) -> Result<(Vec<u8>, [usize; N]), Error> {
    let mut bytes = files::read(path)?;
    let malformed = |problem| Error::Malformed {
        path: path.to_owned(),
        problem,
    };
    let header = 4 + 4 * N;
    if bytes.len() < header {
        let found = bytes.len();
        return Err(malformed(format!(
            "{found} bytes are too few for a header of {header}"
        )));
    }
    if bytes[..4] != [0, 0, 8, N as u8] {
        let found = &bytes[..4];
        return Err(malformed(format!(
            "magic number is {found:02x?}; unsigned bytes of {N} dimensions have [00, 00, 08, {N:02x}]"
        )));
    }
    let mut dimensions = [0; N];
    for (index, dimension) in dimensions.iter_mut().enumerate() {
        let word = &bytes[4 + 4 * index..8 + 4 * index];
        *dimension = word
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    }
    let expected = dimensions.iter().map(|&n| n as u128).product::<u128>();
    let found = bytes.len() - header;
    if expected != found as u128 {
        return Err(malformed(format!(
            "its header promises {expected} bytes of data; it has {found}"
        )));
    }
    bytes.drain(..header);
    Ok((bytes, dimensions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        for dimension in dimensions {
            bytes.extend(dimension.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    /// A folder with four IDX files, the training images gzipped, one of them replaced.
    fn folder(test: &str, replaced: Option<(&str, Vec<u8>)>) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("naschain-idx-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let images = idx(&[2, 3, 2], &(0..12).collect::<Vec<u8>>());
        let labels = idx(&[2], &[9, 0]);
        for (name, bytes) in [
            ("train-images-idx3-ubyte.gz", images.clone()),
            ("train-labels-idx1-ubyte", labels.clone()),
            ("t10k-images-idx3-ubyte", images),
            ("t10k-labels-idx1-ubyte", labels),
        ] {
            let bytes = match &replaced {
                Some((other, bytes)) if *other == name => bytes.clone(),
                _ => bytes,
            };
            let file = std::fs::File::create(dir.join(name)).unwrap();
            if name.ends_with(".gz") {
                let mut writer = flate2::write::GzEncoder::new(file, Default::default());
                writer.write_all(&bytes).unwrap();
                writer.finish().unwrap();
            } else {
                std::io::BufWriter::new(file).write_all(&bytes).unwrap();
            }
        }
        dir
    }

    fn refused(test: &str, name: &str, bytes: Vec<u8>) -> String {
        let dir = folder(test, Some((name, bytes)));
        let error = dataset("mnist", &dir).unwrap_err().to_string();
        std::fs::remove_dir_all(dir).unwrap();
        error
    }

    #[test]
    fn plain_and_gzip_files_are_read() {
        let dir = folder("good", None);
        let data = dataset("mnist", &dir).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(data.shape.to_string(), "1x3x2");
        assert_eq!(data.train.pixels, (0..12).collect::<Vec<u8>>());
        assert_eq!(data.test.labels, [9, 0]);
    }

    #[test]
    fn malformed_files_are_refused_by_name() {
        let images = "t10k-images-idx3-ubyte";
        let labels = "t10k-labels-idx1-ubyte";
        let error = refused("short", images, vec![0, 0, 8]);
        assert!(
            error.contains(images) && error.contains("too few"),
            "{error}"
        );
        let error = refused("magic", images, idx(&[2, 6], &[0; 12]));
        assert!(
            error.contains("magic number is [00, 00, 08, 02]"),
            "{error}"
        );
        let error = refused("cut", images, idx(&[2, 3, 2], &[0; 11]));
        assert!(
            error.contains("promises 12 bytes of data; it has 11"),
            "{error}"
        );
        let error = refused("huge", images, idx(&[u32::MAX; 3], &[]));
        assert!(error.contains("it has 0"), "{error}");
        let error = refused("count", labels, idx(&[3], &[1, 2, 3]));
        assert!(error.contains("3 labels for 2 images"), "{error}");
        let error = refused("label", labels, idx(&[2], &[1, 10]));
        assert!(error.contains("label 1 is 10"), "{error}");
        let error = refused("shapes", images, idx(&[2, 1, 2], &[0; 4]));
        assert!(error.contains("test images 1x1x2"), "{error}");
    }
}
