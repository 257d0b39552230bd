//! All readers with truncated, changed or random files: they never panic, name the file in the
//! error, and use memory in proportion to the files' size.

mod allocations;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use allocations::peak;
use flate2::write::GzEncoder;
use naschain_train::{DataName, Dataset, Error, read_picture};
use proptest::prelude::*;

/// The allocator counts for the whole process, so tests run one at a time.
static ALONE: Mutex<()> = Mutex::new(());
/// Memory independent of the files' size: buffers, decoders' tables, error texts.
const OVERHEAD_BYTES: usize = 1 << 18;

/// Maximum memory per byte of the files.
fn max_bytes_per_byte(name: &DataName) -> usize {
    match name {
        // One copy of the contents, and a chunk while they are scanned.
        DataName::Cifar10 | DataName::Cifar100 => 3,
        // 512 pixels per byte of a JPEG, with three 16-bit coefficients and their values each.
        DataName::Folder(_) => 512 * 9,
        // The maximum ratio of deflate, twice.
        _ => 2 * 1032,
    }
}

/// Damage to a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Changed(Vec<(usize, u8)>),
    Random(Vec<u8>),
    /// Random bytes after a valid start.
    Tail(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        prop::collection::vec((any::<usize>(), any::<u8>()), 1..5).prop_map(Damage::Changed),
        bytes().prop_map(Damage::Random),
        (any::<usize>(), bytes()).prop_map(|(start, tail)| Damage::Tail(start, tail)),
    ]
}

impl Damage {
    fn to(&self, whole: &[u8]) -> Vec<u8> {
        match self {
            Damage::Cut(length) => whole[..length % whole.len()].to_vec(),
            Damage::Changed(changes) => {
                let mut bytes = whole.to_vec();
                for (place, value) in changes {
                    // Half of them are in the header.
                    let place = if place % 2 == 0 { place % 64 } else { *place };
                    bytes[place % whole.len()] = *value;
                }
                bytes
            }
            Damage::Random(bytes) => bytes.clone(),
            Damage::Tail(start, tail) => [&whole[..start % whole.len().min(64)], tail].concat(),
        }
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(root.join("tests/fixtures/data").join(name)).unwrap()
}

fn idx(dimensions: &[u32], data: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Default::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A valid data set of small files.
fn files(name: &DataName) -> Vec<(&'static str, Vec<u8>)> {
    let images = idx(&[6, 4, 5], (0..120).collect());
    let labels = idx(&[6], (1..7).collect());
    match name {
        DataName::Mnist => vec![
            ("train-images-idx3-ubyte", images.clone()),
            ("train-labels-idx1-ubyte.gz", gzip(&labels)),
            ("t10k-images-idx3-ubyte.gz", gzip(&images)),
            ("t10k-labels-idx1-ubyte", labels),
        ],
        DataName::Emnist(_) => vec![
            ("emnist-letters-train-images-idx3-ubyte.gz", gzip(&images)),
            ("emnist-letters-train-labels-idx1-ubyte.gz", gzip(&labels)),
            ("emnist-letters-test-images-idx3-ubyte", images),
            ("emnist-letters-test-labels-idx1-ubyte", labels),
        ],
        DataName::Cifar10 => {
            let batch = |label: u8| vec![label; 2 * 3073];
            vec![
                ("data_batch_1.bin", batch(1)),
                ("data_batch_2.bin", batch(2)),
                ("data_batch_3.bin", batch(3)),
                ("data_batch_4.bin", batch(4)),
                ("data_batch_5.bin", batch(5)),
                ("test_batch.bin", batch(6)),
            ]
        }
        DataName::Cifar100 => vec![
            ("train.bin", vec![9; 3 * 3074]),
            ("test.bin", vec![8; 3074]),
        ],
        DataName::Folder(_) => vec![
            ("train/a/picture.png", fixture("picture.png")),
            ("train/b/grey.jpg", fixture("grey.jpg")),
            ("val/a/picture.jpg", fixture("picture.jpg")),
            ("val/b/progressive.jpg", fixture("progressive.jpg")),
            ("val/b/picture.bmp", fixture("picture.bmp")),
            ("val/b/picture.webp", fixture("picture.webp")),
            ("val/b/lossless.webp", fixture("lossless.webp")),
            ("val/b/picture.gif", fixture("picture.gif")),
        ],
        DataName::Npz(file) if file == "last.npz" => vec![("last.npz", fixture("last.npz"))],
        _ => vec![("first.npz", fixture("first.npz"))],
    }
}

fn folder(name: &DataName) -> PathBuf {
    let dir =
        std::env::temp_dir().join(format!("naschain-malformed-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    for (file, bytes) in files(name) {
        let path = dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

fn names() -> Vec<DataName> {
    let names = [
        "mnist",
        "emnist-letters",
        "cifar10",
        "cifar100",
        "last.npz",
        "first.npz",
    ];
    let mut names: Vec<DataName> = names.map(|name| name.parse().unwrap()).to_vec();
    names.push(DataName::Folder("3x8x8".parse().unwrap()));
    names
}

/// Loads a data set and asserts that memory is bounded for `bytes` bytes of files.
fn load(name: &DataName, dir: &Path, bytes: usize) -> Result<Dataset, Error> {
    let (result, taken) = peak(|| Dataset::load(name, Some(dir)));
    let limit = OVERHEAD_BYTES + max_bytes_per_byte(name) * bytes;
    assert!(
        taken <= limit,
        "{taken} bytes of memory for {bytes} of files"
    );
    result
}

#[test]
fn valid_files_are_read() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for name in names() {
        let dir = folder(&name);
        Dataset::load(&name, Some(&dir)).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn damaged_files_are_read_or_rejected() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for name in names() {
        let dir = folder(&name);
        let files = files(&name);
        let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        // Starts the decoding threads, whose memory is not to be counted.
        let _ = Dataset::load(&name, Some(&dir));
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        proptest!(config, |(which in any::<prop::sample::Index>(), damage in damage())| {
            let (file, whole) = which.get(&files);
            let path = dir.join(file);
            let bytes = damage.to(whole);
            std::fs::write(&path, &bytes).unwrap();
            let loaded = load(&name, &dir, all.max(bytes.len()));
            std::fs::write(&path, whole).unwrap();
            match loaded {
                Ok(dataset) => prop_assert!(dataset.classes >= 2),
                Err(error) => {
                    let text = error.to_string();
                    let by_name = text.contains(&*dir.to_string_lossy());
                    let by_data = text.contains(&name.to_string());
                    prop_assert!(by_name || by_data, "{text}");
                }
            }
        });
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// No file loads when it is truncated, except for the bytes after the data of a PNG and after the
/// first frame of a GIF.
#[test]
fn truncated_files_are_rejected() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for name in names() {
        let dir = folder(&name);
        for (file, whole) in files(&name) {
            let step = (whole.len() / 40).max(1);
            let needed = match file.rsplit('.').next() {
                Some("png") => whole.len() - 12,
                Some("gif") => whole.len() / 2,
                _ => whole.len(),
            };
            for length in (0..needed).step_by(step) {
                // CIFAR's files have no header, so any whole number of images is valid.
                if length > 0 && (length % 3073 == 0 || length % 3074 == 0) {
                    continue;
                }
                std::fs::write(dir.join(file), &whole[..length]).unwrap();
                let error = Dataset::load(&name, Some(&dir)).unwrap_err().to_string();
                let last = Path::new(file).file_name().unwrap().to_str().unwrap();
                assert!(error.contains(last), "{file} cut to {length}: {error}");
            }
            std::fs::write(dir.join(file), whole).unwrap();
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// A header may claim millions of pixels for a few bytes: sizes above the limit, or above what the
/// bytes can encode, are rejected.
#[test]
fn claimed_pixels_are_bounded() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let refused = |file: &[u8], problem: &str| {
        let name = format!("naschain-claim-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, file).unwrap();
        let (result, taken) = peak(|| read_picture(&path, "3x8x8".parse().unwrap()));
        std::fs::remove_file(path).unwrap();
        let error = result.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(taken < OVERHEAD_BYTES, "{taken}");
    };
    let png = |side: u32| {
        let mut png = fixture("picture.png");
        png[16..20].copy_from_slice(&side.to_be_bytes());
        png[20..24].copy_from_slice(&side.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        png
    };
    refused(
        &png(32_767),
        "the image is 32767x32767; it must have 1 to 67108864 pixels",
    );
    refused(
        &png(5_000),
        "the image is 5000x5000; a file of 147 bytes is too small for that many pixels",
    );
    let mut jpeg = fixture("picture.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x13, 0x88, 0x13, 0x88]);
    let length = jpeg.len();
    let problem = format!(
        "the image is 5000x5000; a file of {length} bytes is too small for that many pixels"
    );
    refused(&jpeg, &problem);
}

/// A NumPy archive of two arrays of bytes that are all 0.
fn zeros(x: (&str, usize), y: (&str, usize)) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (shape, length)) in [("x.npy", x), ("y.npy", y)] {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(name, options).unwrap();
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length_of_header = (header.len() as u16).to_le_bytes();
        writer.write_all(b"\x93NUMPY\x01\x00").unwrap();
        writer.write_all(&length_of_header).unwrap();
        writer.write_all(header.as_bytes()).unwrap();
        writer.write_all(&vec![0; length]).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Arrays of the wrong size are rejected by their headers, without decompression.
#[test]
fn arrays_of_wrong_size_are_not_decompressed() {
    const MANY: usize = 40_000_000;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = std::env::temp_dir().join(format!("naschain-zeros-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let few = ("(4, 1, 2)", 8);
    for (x, y, problem) in [
        (
            few,
            ("(40000000,)", MANY),
            "y has 40000000 labels for 4 images",
        ),
        (
            few,
            ("(4, 10000000)", MANY),
            "there must be one label per image",
        ),
        (
            ("(20000000, 1, 2)", MANY),
            ("(4,)", 4),
            "y has 4 labels for 20000000 images",
        ),
    ] {
        std::fs::write(dir.join("a.npz"), zeros(x, y)).unwrap();
        let name = "a.npz".parse().unwrap();
        let (result, taken) = peak(|| Dataset::load(&name, Some(&dir)));
        let error = result.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(taken < OVERHEAD_BYTES, "{taken}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
