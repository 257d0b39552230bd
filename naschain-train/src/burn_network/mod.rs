//! The network as a burn module, for those who go on with it in burn; in tests, what ours is held
//! against.

#[cfg(test)]
mod clipping;
mod layers;
mod network;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod optimizer;
mod phase;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod training;

pub use self::network::BurnNetwork;
#[cfg(test)]
pub(crate) use self::training::BurnTraining;
