//! The run of unit tests that need one.

use naschain_core::{Digest, MacroSpace};
use naschain_run::{DataSpec, RunSpec};

/// A run of one phase of three nodes on the digits, with the default settings.
pub(crate) fn test_spec() -> RunSpec {
    let space = MacroSpace {
        phases: 1,
        nodes: 3,
        input: "1x8x8".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    };
    RunSpec::new(space, DataSpec::new("digits", Digest([1; 32])))
}
