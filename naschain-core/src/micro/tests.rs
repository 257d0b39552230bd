use super::*;
use crate::{Purpose, Stream};

fn space(blocks: usize, layers: usize, input: &str) -> MicroSpace {
    MicroSpace {
        blocks,
        layers,
        input: input.parse().unwrap(),
        init_channels: 8,
        classes: 10,
    }
}

#[test]
fn genes_have_their_choices() {
    let space = space(2, 6, "3x32x32");
    assert_eq!(space.choices(), [[9, 2, 9, 2, 9, 3, 9, 3]; 2].concat());
    for seed in 0..50 {
        let mut stream = Stream::new(seed, Purpose::User, 0, 0);
        space
            .check(&space.random_genes(&mut stream).unwrap())
            .unwrap();
    }
    let mut genes = vec![0; 16];
    genes[13] = 3;
    let error = space.decode(&genes).unwrap_err().to_string();
    assert_eq!(error, "gene 13 is 3; it must be below 3");
    let error = space.decode(&genes[1..]).unwrap_err().to_string();
    assert_eq!(error, "the genome has 15 genes; the space needs 16");
}

#[test]
fn blocks_that_nobody_reads_are_the_output() {
    let space = space(3, 3, "1x8x8");
    // Block 1 reads block 0; blocks 1 and 2 are read by nobody.
    let cell = [0, 0, 0, 1, 0, 2, 2, 2, 1, 0, 2, 1];
    let network = space.decode(&[cell, cell].concat()).unwrap();
    let [normal, reduction, last] = &network.cells[..] else {
        panic!("{network:?}")
    };
    assert_eq!(normal.outputs, [3, 4]);
    assert_eq!(normal.output().to_string(), "16x8x8");
    assert!(reduction.is_reduction && last.is_reduction && !normal.is_reduction);
    assert_eq!(reduction.blocks[0].map(|edge| edge.stride), [2, 2]);
    assert_eq!(reduction.blocks[1].map(|edge| edge.stride), [1, 1]);
    assert_eq!(last.preprocessing, Preprocessing::FactorisedReduction);
    assert_eq!(last.preprocessed().to_string(), "32x4x4");
    assert_eq!(last.output().to_string(), "64x2x2");
}

#[test]
fn sides_that_can_be_halved_are_required() {
    assert!(space(1, 1, "1x6x6").validate().is_ok());
    let error = space(1, 3, "1x6x8").validate().unwrap_err().to_string();
    assert_eq!(
        error,
        "input height is 6; it must be a multiple of 4 with 3 layers"
    );
    let error = space(17, 3, "1x8x8").validate().unwrap_err().to_string();
    assert!(error.starts_with("blocks is 17; it must be a whole number from 1 to 16"));
}

#[test]
fn the_order_of_a_blocks_sides_does_not_matter() {
    let space = space(2, 6, "3x32x32");
    let genes = [3, 1, 2, 0, 8, 2, 8, 1].repeat(2);
    let canonical = space.canonical(&genes).unwrap();
    assert_eq!(canonical, [2, 0, 3, 1, 8, 1, 8, 2].repeat(2));
    assert_eq!(space.canonical(&canonical).unwrap(), canonical);
    let costs = |genes: &[u8]| space.decode(genes).unwrap().costs().unwrap();
    assert_eq!(costs(&genes), costs(&canonical));
}

#[test]
fn no_random_network_is_larger_than_the_largest() {
    let space = space(4, 5, "3x16x16");
    let largest = space.largest_genes().into_iter();
    let params = largest.map(|genes| space.decode(&genes).unwrap().costs().unwrap().params);
    let most = params.max().unwrap();
    for index in 0..300 {
        let mut stream = Stream::new(2, Purpose::User, 0, index);
        let genes = space.random_genes(&mut stream).unwrap();
        let costs = space.decode(&genes).unwrap().costs().unwrap();
        assert!(costs.params < most, "{genes:?}");
    }
}

#[test]
fn no_random_network_is_smaller_than_the_smallest() {
    let space = space(4, 5, "3x16x16");
    let costs = |genes: &[u8]| space.decode(genes).unwrap().costs().unwrap();
    let least = costs(&space.smallest_genes());
    for index in 0..300 {
        let mut stream = Stream::new(2, Purpose::User, 0, index);
        let costs = costs(&space.random_genes(&mut stream).unwrap());
        assert!(costs.params >= least.params, "{costs:?} {least:?}");
    }
}

#[test]
fn without_a_normal_cell_its_genes_do_not_matter() {
    let space = space(2, 2, "1x8x8");
    let reduction = [3, 1, 2, 0, 0, 0, 1, 1];
    let with = |normal: [u8; 8]| space.canonical(&[normal, reduction].concat()).unwrap();
    assert_eq!(
        with([3, 1, 2, 0, 0, 0, 1, 1]),
        with([0, 0, 8, 1, 4, 2, 4, 2])
    );
    let three = MicroSpace { layers: 3, ..space };
    let with = |normal: [u8; 8]| three.canonical(&[normal, reduction].concat()).unwrap();
    assert_ne!(
        with([3, 1, 2, 0, 0, 0, 1, 1]),
        with([0, 0, 8, 1, 4, 2, 4, 2])
    );
}

#[test]
fn computed_layers_leave_out_what_nobody_reads() {
    // Both sides of the only block read input 1: what is done to input 0 is counted, but not computed.
    let space = space(1, 3, "1x8x8");
    let network = space.decode(&[3, 1, 3, 1].repeat(2)).unwrap();
    let graph = network.graph();
    assert!(graph.used_maps().contains(&false));
    let computed = graph.computed_layers().unwrap();
    let sum = |of: &[crate::Layer]| of.iter().map(|layer| layer.costs.params).sum::<u64>();
    assert!(sum(&computed) < network.costs().unwrap().params);
    assert!(
        computed
            .iter()
            .all(|layer| !layer.name.contains("inputs.0"))
    );
    let kinds = ["stem.convolution: 3x3 convolution", "classifier: linear"];
    assert_eq!(computed[0].name, kinds[0]);
    assert_eq!(computed.last().unwrap().name, kinds[1]);
}
