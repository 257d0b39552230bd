//! The network as a burn module, for use in burn. In tests our own network is compared with it.

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
