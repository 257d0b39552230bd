//! The training or test set of a data set, in memory or decoded on demand.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use naschain_core::{Digest, Shape};

use super::Moments;
use super::files::io;
use super::pictures::{BadPicture, Listing, Pictures, first_error};
use crate::Error;

/// Images read at a time when all are scanned.
const CHUNK: usize = 64;

/// Images with their labels, in memory or decoded from files on demand.
///
/// Two values are equal when they have the same pixels and labels, wherever those are stored.
#[derive(Clone, Debug)]
pub struct Images {
    shape: Shape,
    labels: Vec<u16>,
    pixels: Pixels,
    contents: Contents,
}

#[derive(Clone, Debug)]
enum Pixels {
    Memory(Vec<u8>),
    Files(FileImages),
    /// The pixels of files, kept in memory.
    Kept(Vec<u8>, FileImages),
    /// Decoded pixels in one file.
    Packed(PackedPixels),
}

/// Decoded pixels, and what follows them, in a file.
#[derive(Clone, Debug)]
pub(super) struct PackedPixels {
    file: Arc<File>,
    path: PathBuf,
    /// Where the first image begins, in bytes.
    offset: u64,
}

impl PackedPixels {
    pub(super) fn new(file: &File, path: &Path, offset: u64) -> Result<PackedPixels, Error> {
        let file = file.try_clone().map_err(|error| io(path, error))?;
        Ok(PackedPixels {
            file: Arc::new(file),
            path: path.to_owned(),
            offset,
        })
    }

    /// Reads the bytes at this place after the first image's first.
    pub(super) fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let read = read_exact_at(&self.file, bytes, self.offset + at);
        read.map_err(|error| io(&self.path, error))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    use std::sync::Mutex;
    // Other threads must not move the position in between.
    static POSITION: Mutex<()> = Mutex::new(());
    let _turn = POSITION.lock();
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// Images in files, and what was noticed when they were listed and decoded.
#[derive(Clone, Debug)]
pub(super) struct FileImages {
    pictures: Pictures,
    /// How many were smaller than the shape of the images.
    pub(super) enlarged: usize,
    /// Files beside them that are not pictures by their names.
    pub(super) ignored: Vec<PathBuf>,
}

/// Digest and statistics, computed in one scan of all images.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    digest: Digest,
    /// Histogram of pixel values for each colour plane.
    counts: Vec<[u64; 256]>,
}

/// Computes [`Contents`].
struct Scan {
    shape: Shape,
    hasher: blake3::Hasher,
    counts: Vec<[u64; 256]>,
}

impl Scan {
    fn new(shape: Shape) -> Scan {
        Scan {
            shape,
            hasher: blake3::Hasher::new(),
            counts: vec![[0; 256]; shape.channels],
        }
    }

    /// Adds the pixels of whole images.
    fn add(&mut self, pixels: &[u8]) {
        self.hasher.update(pixels);
        let planes = pixels.chunks_exact(self.shape.height * self.shape.width);
        for (index, plane) in planes.enumerate() {
            let counts = &mut self.counts[index % self.shape.channels];
            for &pixel in plane {
                counts[usize::from(pixel)] += 1;
            }
        }
    }

    fn finish(mut self, labels: &[u16]) -> Contents {
        for label in labels {
            self.hasher.update(&label.to_le_bytes());
        }
        Contents {
            digest: Digest(*self.hasher.finalize().as_bytes()),
            counts: self.counts,
        }
    }
}

impl PartialEq for Images {
    fn eq(&self, other: &Images) -> bool {
        self.shape == other.shape && self.contents == other.contents
    }
}

impl Eq for Images {}

impl Images {
    /// Images in memory: `pixels` holds images × channels × height × width values, each plane row
    /// by row, `labels` one label per image, counted from 0.
    ///
    /// ```
    /// use naschain_train::Images;
    /// let images = Images::new("1x1x2".parse().unwrap(), vec![1, 2, 3, 4], vec![0, 1])?;
    /// assert_eq!(images.pixels(&[1, 0])?, [3, 4, 1, 2]);
    /// # Ok::<(), naschain_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PixelCount`] when the pixels are not a whole number of images,
    /// [`Error::LabelCount`] when there is not one label per image.
    pub fn new(shape: Shape, pixels: Vec<u8>, labels: Vec<u16>) -> Result<Images, Error> {
        let found = pixels.len();
        if shape.is_empty() || !found.is_multiple_of(shape.len()) {
            return Err(Error::PixelCount { found, shape });
        }
        let images = found / shape.len();
        if labels.len() != images {
            let labels = labels.len();
            return Err(Error::LabelCount { labels, images });
        }
        let mut scan = Scan::new(shape);
        scan.add(&pixels);
        Ok(Images {
            shape,
            contents: scan.finish(&labels),
            labels,
            pixels: Pixels::Memory(pixels),
        })
    }

    /// Images that stay in their files. Each is decoded once here, for digest and statistics.
    ///
    /// # Errors
    /// All files that cannot be decoded.
    pub(super) fn from_files(shape: Shape, listing: Listing) -> Result<Images, Vec<BadPicture>> {
        let Listing {
            pictures,
            labels,
            ignored,
            ..
        } = listing;
        let (mut scan, mut bad, mut enlarged) = (Scan::new(shape), Vec::new(), 0);
        let indices: Vec<usize> = (0..labels.len()).collect();
        for indices in indices.chunks(CHUNK) {
            match pictures.read(indices, &labels, shape) {
                Ok(decoded) => {
                    scan.add(&decoded.pixels);
                    enlarged += decoded.enlarged;
                }
                Err(of_chunk) => bad.extend(of_chunk),
            }
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        let files = FileImages {
            pictures,
            enlarged,
            ignored,
        };
        Ok(Images {
            shape,
            contents: scan.finish(&labels),
            labels,
            pixels: Pixels::Files(files),
        })
    }

    /// Images that stay in a file of decoded pixels. Each is read once here, for digest and statistics.
    pub(super) fn from_packed(
        shape: Shape,
        pixels: PackedPixels,
        labels: Vec<u16>,
    ) -> Result<Images, Error> {
        let mut scan = Scan::new(shape);
        let mut at = 0;
        for images in labels.chunks(CHUNK) {
            let mut chunk = vec![0; images.len() * shape.len()];
            pixels.read_at(at, &mut chunk)?;
            scan.add(&chunk);
            at += chunk.len() as u64;
        }
        Ok(Images {
            shape,
            contents: scan.finish(&labels),
            labels,
            pixels: Pixels::Packed(pixels),
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of each image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// One label per image, counted from 0.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// The pixels of some images in the order of their indices, counted from 0: images × channels
    /// × height × width.
    ///
    /// Images in files are decoded by the threads of the current rayon pool; the result does not
    /// depend on them.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Malformed`] when a file has changed since it was listed.
    pub fn pixels(&self, indices: &[usize]) -> Result<Vec<u8>, Error> {
        let images = self.len();
        if let Some(&index) = indices.iter().find(|&&index| index >= images) {
            return Err(Error::NoSuchImage { index, images });
        }
        let size = self.shape.len();
        match &self.pixels {
            Pixels::Memory(all) | Pixels::Kept(all, _) => {
                let mut pixels = Vec::with_capacity(indices.len() * size);
                for index in indices {
                    pixels.extend_from_slice(&all[index * size..][..size]);
                }
                Ok(pixels)
            }
            Pixels::Packed(packed) => {
                let mut pixels = vec![0; indices.len() * size];
                for (index, image) in indices.iter().zip(pixels.chunks_exact_mut(size)) {
                    packed.read_at(*index as u64 * size as u64, image)?;
                }
                Ok(pixels)
            }
            Pixels::Files(files) => {
                let read = files.pictures.read(indices, &self.labels, self.shape);
                read.map(|decoded| decoded.pixels).map_err(first_error)
            }
        }
    }

    /// A copy of all images in memory.
    ///
    /// # Errors
    /// As for [`Images::pixels`].
    pub fn in_memory(&self) -> Result<Images, Error> {
        let all: Vec<usize> = (0..self.len()).collect();
        Images::new(self.shape, self.pixels(&all)?, self.labels.clone())
    }

    /// Decodes images in files into memory if they take at most `max_bytes`.
    pub(super) fn into_memory(self, max_bytes: u64) -> Result<Images, Error> {
        let bytes = self.len() as u64 * self.shape.len() as u64;
        match &self.pixels {
            Pixels::Files(files) if bytes <= max_bytes => {
                let mut copy = self.in_memory()?;
                if let Pixels::Memory(pixels) = copy.pixels {
                    copy.pixels = Pixels::Kept(pixels, files.clone());
                }
                Ok(copy)
            }
            Pixels::Packed(_) if bytes <= max_bytes => self.in_memory(),
            _ => Ok(self),
        }
    }

    /// What was noticed about the files, if the images are of files.
    pub(super) fn files(&self) -> Option<&FileImages> {
        match &self.pixels {
            Pixels::Memory(_) | Pixels::Packed(_) => None,
            Pixels::Files(files) | Pixels::Kept(_, files) => Some(files),
        }
    }

    /// The file of an image, or its number.
    pub(super) fn place(&self, index: usize) -> String {
        match self.files() {
            Some(files) => {
                let path = files.pictures.path(index, self.labels[index]);
                path.display().to_string()
            }
            None => format!("image {index}"),
        }
    }

    /// BLAKE3 of the pixels of all images in order, then of all labels, two little-endian bytes
    /// each.
    pub fn digest(&self) -> Digest {
        self.contents.digest
    }

    /// Mean and standard deviation of each colour plane.
    pub fn moments(&self) -> Vec<Moments> {
        self.contents.counts.iter().map(Moments::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatched_counts_are_rejected() {
        let shape: Shape = "1x2x2".parse().unwrap();
        let problem = |pixels, labels| {
            let images = Images::new(shape, vec![0; pixels], vec![0; labels]);
            images.unwrap_err().to_string()
        };
        assert!(problem(7, 1).contains("7 pixels are not a whole number of images of 1x2x2"));
        assert_eq!(problem(8, 1), "there are 1 labels for 2 images");
        let images = Images::new(shape, vec![0; 8], vec![0; 2]).unwrap();
        let error = images.pixels(&[0, 2]).unwrap_err().to_string();
        assert_eq!(error, "there is no image 2; there are 2, counted from 0");
    }

    #[test]
    fn the_digest_covers_pixels_and_labels_in_order() {
        let shape: Shape = "3x1x2".parse().unwrap();
        let pixels: Vec<u8> = (0..600 * 6).map(|i| (i % 251) as u8).collect();
        let labels: Vec<u16> = (0..600).collect();
        let images = Images::new(shape, pixels.clone(), labels.clone()).unwrap();
        let mut bytes = pixels;
        bytes.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
        assert_eq!(images.digest().0, *blake3::hash(&bytes).as_bytes());
        let mean = |plane: usize| {
            let chosen = (0..600).flat_map(|image| [0, 1].map(|x| image * 6 + plane * 2 + x));
            chosen.map(|i| f64::from(bytes[i])).sum::<f64>() / 1200.0
        };
        let found: Vec<f64> = images.moments().iter().map(|m| m.mean).collect();
        assert_eq!(found, [mean(0), mean(1), mean(2)]);
    }
}
