//! Weights of a network and their digests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use naschain_core::{Digest, Purpose, Stream};
use safetensors::tensor::{Dtype, TensorView, View};
use safetensors::{SafeTensorError, SafeTensors};

use crate::Error;

/// One tensor of a network, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its name in the network, such as `phases.0.nodes.1.conv.weight`.
    pub name: String,
    /// Its shape in PyTorch's layout: convolutions `[out, in, height, width]`, linear layers `[out,
    /// in]`.
    pub shape: Vec<usize>,
    /// Its values, last dimension fastest.
    pub values: Vec<f32>,
}

/// All tensors of a network in declaration order: parameters, and the running statistics of each
/// batch norm after its parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The tensors.
    pub tensors: Vec<NamedTensor>,
}

impl Weights {
    /// The next digest of the chain: BLAKE3 of the previous digest and the little-endian bytes of
    /// every tensor in declaration order.
    pub(crate) fn chain_digest(&self, before: Digest) -> Digest {
        chain_digest(before, self.tensors.iter())
    }

    /// The first tensor with a value that is not a finite number.
    pub(crate) fn not_finite(&self) -> Option<(&NamedTensor, f32)> {
        self.tensors.iter().find_map(|tensor| {
            let value = tensor.values.iter().find(|value| !value.is_finite())?;
            Some((tensor, *value))
        })
    }

    /// Writes a safetensors file. Equal weights give equal files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        write_safetensors(path, self.tensor_refs(), None)
    }

    /// A view of every tensor, for writing without a copy.
    pub(crate) fn tensor_refs(&self) -> Vec<TensorRef<'_>> {
        let lend = |tensor| TensorRef::new(tensor, tensor.name.clone(), &tensor.values);
        self.tensors.iter().map(lend).collect()
    }

    /// Reads a safetensors file. The tensors are in the order of their names; a network looks them
    /// up by name.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for a file that is not safetensors of f32.
    pub fn load(path: &Path) -> Result<Weights, Error> {
        let file = std::fs::read(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        Weights::from_safetensors(&file).map_err(|problem| Error::Malformed {
            path: path.to_owned(),
            problem,
        })
    }

    /// Reads the bytes of a safetensors file, or returns a description of the problem.
    pub(crate) fn from_safetensors(file: &[u8]) -> Result<Weights, String> {
        let views = SafeTensors::deserialize(file)
            .map_err(|error| format!("not a safetensors file: {error}"))?;
        let mut weights = Weights::default();
        let by_name: BTreeMap<&str, TensorView> = views.iter().collect();
        for (name, view) in by_name {
            if view.dtype() != Dtype::F32 {
                let found = view.dtype();
                return Err(format!("{name} is {found:?}; it must be F32"));
            }
            let words = view.data().as_chunks::<4>().0;
            weights.tensors.push(NamedTensor {
                name: name.to_owned(),
                shape: view.shape().to_vec(),
                values: words.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            });
        }
        Ok(weights)
    }

    /// The trained tensors: all except the running statistics.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &NamedTensor> {
        let trained = |tensor: &&NamedTensor| !tensor.name.contains(".running_");
        self.tensors.iter().filter(trained)
    }
}

/// BLAKE3 of a digest and the little-endian bytes of these tensors.
pub(crate) fn chain_digest<'a>(
    before: Digest,
    tensors: impl Iterator<Item = &'a NamedTensor>,
) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    for tensor in tensors {
        hash_values(&mut hasher, &tensor.values);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// A borrowed tensor to be written to a file.
pub(crate) struct TensorRef<'a> {
    pub(crate) name: String,
    pub(crate) shape: &'a [usize],
    pub(crate) values: &'a [f32],
}

impl<'a> TensorRef<'a> {
    /// A tensor of `values` with the shape of `like`.
    pub(crate) fn new(like: &'a NamedTensor, name: String, values: &'a [f32]) -> TensorRef<'a> {
        TensorRef {
            name,
            shape: &like.shape,
            values,
        }
    }
}

impl View for &TensorRef<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        little_endian(self.values).into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// Writes a safetensors file atomically, tensor by tensor, with at most one metadata entry: the
/// safetensors crate takes metadata as a hash map, so several entries would be written in random
/// order.
pub(crate) fn write_safetensors(
    path: &Path,
    tensors: Vec<TensorRef<'_>>,
    metadata: Option<(&str, String)>,
) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let views = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let metadata = metadata.map(|(key, text)| [(key.to_owned(), text)].into());
    let partial = path.with_extension("partial");
    let written = safetensors::serialize_to_file(views, metadata, &partial);
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(|error| match error {
        SafeTensorError::IoError(source) => io(source),
        other => unwritable(&other),
    })?;
    std::fs::rename(&partial, path).map_err(io)
}

/// The bytes that [`write_safetensors`] writes.
pub(crate) fn safetensors_bytes(
    tensors: Vec<TensorRef<'_>>,
    metadata: Option<(&str, String)>,
) -> Result<Vec<u8>, Error> {
    let views = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let metadata = metadata.map(|(key, text)| [(key.to_owned(), text)].into());
    safetensors::serialize(views, metadata).map_err(|error| unwritable(&error))
}

fn unwritable(error: &SafeTensorError) -> Error {
    Error::Weights {
        problem: error.to_string(),
    }
}

/// The metadata entry `key` of a safetensors file, if it has one.
pub(crate) fn metadata(file: &[u8], key: &str) -> Option<String> {
    let (_, header) = SafeTensors::read_metadata(file).ok()?;
    header.metadata().as_ref()?.get(key).cloned()
}

/// The little-endian bytes of `values`, as stored in files.
pub(crate) fn little_endian(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Adds the little-endian bytes of `values` to a hash, in pieces, so that there is no copy of a large
/// tensor.
pub(crate) fn hash_values(hasher: &mut blake3::Hasher, values: &[f32]) {
    let mut bytes = [0; 32 * 1024];
    for values in values.chunks(bytes.len() / 4) {
        let bytes = &mut bytes[..4 * values.len()];
        for (to, value) in bytes.chunks_exact_mut(4).zip(values) {
            to.copy_from_slice(&value.to_le_bytes());
        }
        hasher.update(bytes);
    }
}

/// How a tensor is initialised.
#[derive(Clone, Copy)]
pub(crate) enum Init {
    /// Uniform in ±1/√fan_in, PyTorch's default for convolutions and linear layers.
    Uniform { fan_in: usize },
    /// The same value everywhere.
    Constant(f32),
}

/// Provides the tensors of a network under construction, in declaration order.
pub(crate) enum TensorSource {
    /// Initial values: tensor number `next` is drawn from its own stream of this seed.
    Drawn { seed: u64, next: u64 },
    /// Stored tensors by name.
    Stored(BTreeMap<String, NamedTensor>),
}

impl TensorSource {
    pub(crate) fn drawn(seed: u64) -> TensorSource {
        TensorSource::Drawn { seed, next: 0 }
    }

    pub(crate) fn stored(weights: Weights) -> TensorSource {
        let named = |tensor: NamedTensor| (tensor.name.clone(), tensor);
        TensorSource::Stored(weights.tensors.into_iter().map(named).collect())
    }

    /// The values of the next tensor.
    pub(crate) fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        start: Init,
    ) -> Result<Vec<f32>, Error> {
        match self {
            TensorSource::Drawn { seed, next } => {
                let stream = Stream::new(*seed, Purpose::Weights, 0, *next);
                *next += 1;
                Ok(draw(stream, shape.iter().product(), start))
            }
            TensorSource::Stored(tensors) => match tensors.remove(name) {
                Some(tensor) if tensor.shape == shape => Ok(tensor.values),
                Some(tensor) => Err(Error::Weights {
                    problem: format!("{name} is {:?}; it must be {shape:?}", tensor.shape),
                }),
                None => Err(Error::Weights {
                    problem: format!("{name} is missing"),
                }),
            },
        }
    }

    /// Checks that no stored tensor was left unused.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self {
            TensorSource::Stored(tensors) if !tensors.is_empty() => Err(Error::Weights {
                problem: format!(
                    "{} is not a tensor of this architecture",
                    tensors.keys().next().map_or("", String::as_str)
                ),
            }),
            _ => Ok(()),
        }
    }
}

fn draw(mut stream: Stream, count: usize, start: Init) -> Vec<f32> {
    match start {
        Init::Constant(value) => vec![value; count],
        Init::Uniform { fan_in } => {
            let bound = 1.0 / (fan_in as f32).sqrt();
            (0..count)
                .map(|_| (2.0 * stream.unit_f32() - 1.0) * bound)
                .collect()
        }
    }
}
