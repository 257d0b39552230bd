//! The networks of all spaces.

use serde::{Deserialize, Serialize};

use crate::{
    Architecture, Costs, Error, Layer, LayerGraph, MicroArchitecture, MobileArchitecture, Shape,
};

/// A network of any space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Network {
    /// Of the macro space.
    Macro(Architecture),
    /// Of the micro space.
    Micro(MicroArchitecture),
    /// Of the mobile space.
    Mobile(MobileArchitecture),
}

/// A network of any space, borrowed: what functions take that work with all of them.
///
/// ```
/// use naschain_core::{MacroSpace, NetworkRef};
/// let space = MacroSpace {
///     phases: 1,
///     nodes: 2,
///     input: "1x8x8".parse()?,
///     init_channels: 4,
///     classes: 10,
/// };
/// let architecture = space.decode(&"10".parse()?)?;
/// assert_eq!(NetworkRef::from(&architecture).classes(), 10);
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum NetworkRef<'a> {
    /// Of the macro space.
    Macro(&'a Architecture),
    /// Of the micro space.
    Micro(&'a MicroArchitecture),
    /// Of the mobile space.
    Mobile(&'a MobileArchitecture),
}

impl From<Architecture> for Network {
    fn from(network: Architecture) -> Network {
        Network::Macro(network)
    }
}

impl From<MicroArchitecture> for Network {
    fn from(network: MicroArchitecture) -> Network {
        Network::Micro(network)
    }
}

impl From<MobileArchitecture> for Network {
    fn from(network: MobileArchitecture) -> Network {
        Network::Mobile(network)
    }
}

impl<'a> From<&'a Network> for NetworkRef<'a> {
    fn from(network: &'a Network) -> Self {
        match network {
            Network::Macro(network) => NetworkRef::Macro(network),
            Network::Micro(network) => NetworkRef::Micro(network),
            Network::Mobile(network) => NetworkRef::Mobile(network),
        }
    }
}

impl<'a> From<&'a Architecture> for NetworkRef<'a> {
    fn from(network: &'a Architecture) -> Self {
        NetworkRef::Macro(network)
    }
}

impl<'a> From<&'a MicroArchitecture> for NetworkRef<'a> {
    fn from(network: &'a MicroArchitecture) -> Self {
        NetworkRef::Micro(network)
    }
}

impl<'a> From<&'a MobileArchitecture> for NetworkRef<'a> {
    fn from(network: &'a MobileArchitecture) -> Self {
        NetworkRef::Mobile(network)
    }
}

impl NetworkRef<'_> {
    /// Shape of one input image.
    pub fn input(self) -> Shape {
        match self {
            NetworkRef::Macro(network) => network.input,
            NetworkRef::Micro(network) => network.input,
            NetworkRef::Mobile(network) => network.input,
        }
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            NetworkRef::Macro(network) => network.classes,
            NetworkRef::Micro(network) => network.classes,
            NetworkRef::Mobile(network) => network.classes,
        }
    }

    /// Counts parameters and FLOPs.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn costs(self) -> Result<Costs, Error> {
        match self {
            NetworkRef::Macro(network) => network.costs(),
            NetworkRef::Micro(network) => network.costs(),
            NetworkRef::Mobile(network) => network.costs(),
        }
    }

    /// The layers in the order of a forward pass, with their shares of the costs.
    ///
    /// # Errors
    /// As [`NetworkRef::costs`].
    pub fn layers(self) -> Result<Vec<Layer>, Error> {
        match self {
            NetworkRef::Macro(network) => network.layers(),
            NetworkRef::Micro(network) => network.layers(),
            NetworkRef::Mobile(network) => network.layers(),
        }
    }
}

impl NetworkRef<'_> {
    /// The network as a list of layers; `None` in the macro space, whose networks are phases.
    pub fn graph(self) -> Option<LayerGraph> {
        match self {
            NetworkRef::Macro(_) => None,
            NetworkRef::Micro(network) => Some(network.graph()),
            NetworkRef::Mobile(network) => Some(network.graph()),
        }
    }

    /// The layers that are computed for the output, with what each of them costs by itself. In the macro
    /// space they are [`NetworkRef::layers`]; see also [`LayerGraph::computed_layers`].
    ///
    /// # Errors
    /// As [`NetworkRef::costs`].
    pub fn computed_layers(self) -> Result<Vec<Layer>, Error> {
        match self.graph() {
            None => self.layers(),
            Some(graph) => graph.computed_layers(),
        }
    }
}

impl Network {
    /// The network, borrowed.
    pub fn view(&self) -> NetworkRef<'_> {
        self.into()
    }

    /// Shape of one input image.
    pub fn input(&self) -> Shape {
        NetworkRef::from(self).input()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        NetworkRef::from(self).classes()
    }

    /// Counts parameters and FLOPs.
    ///
    /// # Errors
    /// As [`NetworkRef::costs`].
    pub fn costs(&self) -> Result<Costs, Error> {
        NetworkRef::from(self).costs()
    }

    /// The layers in the order of a forward pass, with their shares of the costs.
    ///
    /// # Errors
    /// As [`NetworkRef::costs`].
    pub fn layers(&self) -> Result<Vec<Layer>, Error> {
        NetworkRef::from(self).layers()
    }
}
