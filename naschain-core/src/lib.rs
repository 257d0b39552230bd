//! x
mod error;
mod genome;
mod measurement;
mod stream;
pub use error::Error;
pub use genome::Genome;
pub use measurement::{Accuracy, Digest, Measurement};
pub use stream::{Purpose, Stream};
