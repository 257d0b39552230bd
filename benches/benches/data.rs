//! How fast data sets are read, and batches made of them.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use naschain_core::{Purpose, Stream};
use naschain_train::{DataName, Dataset};

/// Images of a made-up part.
const IMAGES: usize = 2_000;

/// A folder that is deleted at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("naschain-bench-data-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("the folder for temporary files can be written");
        Folder(dir)
    }

    fn write(&self, file: &str, bytes: Vec<u8>) {
        std::fs::write(self.0.join(file), bytes).expect("a file can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn noise(count: usize) -> Vec<u8> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    (0..count).map(|_| stream.below(256) as u8).collect()
}
