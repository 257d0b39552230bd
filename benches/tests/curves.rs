//! The table of learning curves is what its program makes of it, on this machine too.

#[allow(dead_code)] // its `main` is not used here
#[path = "../examples/curves.rs"]
mod curves;

use std::path::Path;

use naschain_train::Dataset;

/// Printed by the program when it made the table.
const DIGEST: &str = "49e6b0f17b63df1e7d4a279ac4ac5e18349d99ac2f51034d02c01016ccde72c0";

#[test]
fn rows_of_the_table_of_curves_are_made_again() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../naschain-nsga/data/digits-curves.bin");
    let file = std::fs::read(path).unwrap();
    assert_eq!(blake3::hash(&file).to_hex().as_str(), DIGEST);
    let digits = Dataset::digits();
    let space = curves::space(&digits);
    let networks = curves::networks(&space).unwrap();
    let (header, rows) = file.split_at(curves::header(networks.len()).len());
    assert_eq!(header, curves::header(networks.len()));
    let width = rows.len() / networks.len();
    assert_eq!(rows.len(), width * networks.len());
    for at in [0, 1, 1234, 3660] {
        let row = curves::row(&digits, &space, networks[at]).unwrap();
        assert_eq!(rows[at * width..][..width], row, "row {at}");
    }
}
