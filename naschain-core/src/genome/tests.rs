use super::*;
use proptest::prelude::*;

#[test]
fn other_characters_are_named_with_their_position() {
    let error = "01x1".parse::<Genome>().unwrap_err();
    assert_eq!(
        error,
        Error::GenomeCharacter {
            found: 'x',
            position: 2
        }
    );
    assert_eq!("--".parse::<Genome>().unwrap_err(), Error::GenomeEmpty);
}

#[test]
fn phases_are_separated() {
    let genome: Genome = "1011010".parse().unwrap();
    assert_eq!(genome.grouped(3), "101-101-0");
    assert_eq!(format!("{genome:>9}"), "  1011010");
}

#[test]
#[should_panic = "bits 2..4 of a genome of 3 bits"]
fn a_range_beyond_the_end_panics() {
    let _ = Genome::zeros(3).count_ones(2..4);
}

proptest! {
    #[test]
    fn text_and_json_round_trip(bits in prop::collection::vec(any::<bool>(), 1..200)) {
        let genome = Genome::from_bits(bits.iter().copied());
        prop_assert_eq!(genome.bits().collect::<Vec<_>>(), bits);
        prop_assert_eq!(&genome.to_string().parse::<Genome>().unwrap(), &genome);
        prop_assert_eq!(&genome.grouped(7).parse::<Genome>().unwrap(), &genome);
        let json = serde_json::to_string(&genome).unwrap();
        prop_assert_eq!(serde_json::from_str::<Genome>(&json).unwrap(), genome);
    }

    #[test]
    fn genomes_are_ordered_as_their_texts(a in "[01]{1,260}", b in "[01]{1,260}") {
        let (x, y): (Genome, Genome) = (a.parse().unwrap(), b.parse().unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn ranges_are_swapped_and_counted_as_bit_by_bit(
        bits in prop::collection::vec(any::<(bool, bool)>(), 1..300),
        ends: (prop::sample::Index, prop::sample::Index),
        longer in 0usize..100,
    ) {
        let (a, b) = (ends.0.index(bits.len() + 1), ends.1.index(bits.len() + 1));
        let range = a.min(b)..a.max(b);
        let mut one = Genome::from_bits(bits.iter().map(|pair| pair.0));
        let tail = std::iter::repeat_n(true, longer);
        let mut other = Genome::from_bits(bits.iter().map(|pair| pair.1).chain(tail.clone()));
        let (mut swapped_one, mut swapped_other) = (one.clone(), other.clone());
        for index in range.clone() {
            if one.get(index) != other.get(index) {
                swapped_one.flip(index);
                swapped_other.flip(index);
            }
        }
        let ones = range.clone().filter(|&index| one.get(index)).count();
        prop_assert_eq!(one.count_ones(range.clone()), ones);
        one.swap_range(&mut other, range);
        prop_assert_eq!(one, swapped_one);
        prop_assert_eq!(other, swapped_other);
    }

    #[test]
    fn genomes_of_equal_bits_are_equal(bits in prop::collection::vec(any::<bool>(), 0..300)) {
        let built = Genome::from_bits(bits.iter().copied());
        let mut flipped = Genome::zeros(bits.len());
        (0..bits.len()).filter(|&index| bits[index]).for_each(|index| flipped.flip(index));
        prop_assert_eq!(&built, &flipped);
        prop_assert_eq!(built.cmp(&flipped), std::cmp::Ordering::Equal);
    }

    #[test]
    fn flipping_changes_one_bit(text in "[01]{1,260}", at in 0usize..260) {
        let genome: Genome = text.parse().unwrap();
        let at = at % genome.len();
        let mut flipped = genome.clone();
        flipped.flip(at);
        for index in 0..genome.len() {
            prop_assert_eq!(genome.get(index) != flipped.get(index), index == at);
        }
    }
}
