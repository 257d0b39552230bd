use super::*;
use crate::{Purpose, Stream};

fn space(stages: usize, depth: usize, input: &str) -> MobileSpace {
    MobileSpace {
        stages,
        depth,
        input: input.parse().unwrap(),
        init_channels: 8,
        classes: 10,
    }
}

fn random(space: &MobileSpace, count: u64) -> Vec<Vec<u8>> {
    let genes = |index| {
        let mut stream = Stream::new(3, Purpose::User, 0, index);
        space.random_genes(&mut stream).unwrap()
    };
    (0..count).map(genes).collect()
}

#[test]
fn genes_are_depth_width_squeeze_kernels_and_expansions() {
    let space = space(3, 2, "3x32x28");
    let genes = [
        [1, 0, 0, 1, 3, 2, 0],
        [0, 3, 1, 0, 2, 1, 1],
        [1, 1, 1, 2, 1, 0, 0],
    ];
    let mut genes = genes.concat();
    genes.push(2);
    let network = space.decode(&genes).unwrap();
    // Three quarters of 32 and 28, as multiples of 4.
    assert_eq!(network.resolution.to_string(), "3x24x20");
    let found = network.blocks.iter().map(|block| {
        let squeezed = block.squeezed.unwrap_or(0);
        let output = block.output.to_string();
        (block.stage, block.kernel, block.expanded, squeezed, output)
    });
    let right = [
        (1, 5, 48, 0, "6x24x20"),
        (1, 7, 12, 0, "6x24x20"),
        (2, 3, 24, 6, "24x12x10"),
        (3, 7, 72, 18, "32x6x5"),
        (3, 3, 64, 16, "32x6x5"),
    ];
    let right = right.map(|(stage, kernel, expanded, squeezed, output)| {
        (stage, kernel, expanded, squeezed, output.to_owned())
    });
    assert_eq!(found.collect::<Vec<_>>(), right);
    let residual: Vec<bool> = network
        .blocks
        .iter()
        .map(MobileBlock::is_residual)
        .collect();
    assert_eq!(residual, [false, true, false, false, true]);
    let strides: Vec<usize> = network.blocks.iter().map(|block| block.stride).collect();
    assert_eq!(strides, [1, 1, 2, 2, 1]);
    let activations: Vec<Activation> = network.blocks.iter().map(|b| b.activation).collect();
    assert_eq!(activations[2], Activation::Relu);
    assert_eq!(activations[3], Activation::HardSwish);
    assert_eq!(network.head_channels, 192);
}

#[test]
fn canonical_genes_have_the_same_network_and_no_others() {
    // With one channel widths coincide, and with 8 x 8 pixels resolutions do.
    let space = MobileSpace {
        init_channels: 1,
        ..space(3, 3, "1x8x8")
    };
    let mut forms = std::collections::BTreeMap::new();
    for genes in random(&space, 3000) {
        let canonical = space.canonical(&genes).unwrap();
        assert_eq!(space.canonical(&canonical).unwrap(), canonical);
        let network = space.decode(&genes).unwrap();
        assert_eq!(space.decode(&canonical).unwrap(), network);
        let form = serde_json::to_string(&network).unwrap();
        let known = forms.entry(form).or_insert_with(|| canonical.clone());
        assert_eq!(*known, canonical);
    }
}

#[test]
fn no_random_network_is_smaller_than_the_smallest_or_larger_than_the_largest() {
    let space = space(3, 3, "3x16x16");
    let costs = |genes: &[u8]| space.decode(genes).unwrap().costs().unwrap();
    let least = costs(&space.smallest_genes());
    let most = costs(&space.largest_genes()[0]);
    for genes in random(&space, 300) {
        let costs = costs(&genes);
        assert!(costs.params >= least.params && costs.flops >= least.flops);
        assert!(costs.params <= most.params && costs.flops <= most.flops);
    }
}

#[test]
fn costs_are_the_sums_over_the_layers() {
    for space in [
        space(3, 3, "3x16x16"),
        space(1, 1, "1x5x7"),
        space(4, 2, "2x24x40"),
    ] {
        for genes in random(&space, 100) {
            let network = space.decode(&genes).unwrap();
            let layers = network.layers().unwrap();
            let sum = |of: fn(&crate::Layer) -> u64| layers.iter().map(of).sum::<u64>();
            let costs = network.costs().unwrap();
            assert_eq!(costs.params, sum(|layer| layer.costs.params));
            assert_eq!(costs.flops, sum(|layer| layer.costs.flops));
        }
    }
}

#[test]
fn some_networks_have_layers_of_every_kind() {
    let space = space(2, 2, "3x16x16");
    let kinds = |genes: &[u8]| -> Vec<String> {
        let layers = space.decode(genes).unwrap().layers().unwrap();
        let kind = |layer: crate::Layer| layer.name.split_once(": ").unwrap().1.to_owned();
        layers.into_iter().map(kind).collect()
    };
    let all = space.genes_of_all_layers();
    let known: Vec<String> = all.iter().flat_map(|genes| kinds(genes)).collect();
    for genes in random(&space, 200) {
        for kind in kinds(&genes) {
            assert!(known.contains(&kind), "{kind}");
        }
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    let error = |space: MobileSpace| space.decode(&[]).unwrap_err().to_string();
    assert_eq!(
        error(space(7, 2, "3x64x64")),
        "stages is 7; it must be a whole number from 1 to 6"
    );
    assert_eq!(
        error(space(3, 1_000_000_000_000, "3x8x8")),
        "depth is 1000000000000; it must be a whole number from 1 to 8"
    );
    assert_eq!(
        error(space(4, 2, "3x28x28")),
        "input height is 28; it must be a multiple of 8 with 4 stages"
    );
}
