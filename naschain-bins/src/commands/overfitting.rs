//! Whether a network overfits, and what may help.

use naschain_core::{Accuracy, Recipe, Shape};

use crate::cli::presets::crop_padding_of;

/// A network that is right on this many percentage points more of the training than of the test images
/// overfits.
const GAP: f64 = 15.0;

/// Says that a network overfits and what may help; `None` if it does not. The training accuracy is
/// that of the last epoch of the recipe.
pub(crate) fn overfitting(
    train: Accuracy,
    test: Accuracy,
    recipe: &Recipe,
    input: Shape,
) -> Option<String> {
    if train.percent() - test.percent() < GAP {
        return None;
    }
    let mut flags = Vec::new();
    if !recipe.augmentation.horizontal_flip {
        flags.push("--flip (unless left and right have a meaning, as in text)".to_owned());
    }
    if recipe.augmentation.crop_padding == 0 {
        flags.push(format!("--crop-padding {}", crop_padding_of(input)));
    }
    if recipe.augmentation.cutout == 0 {
        flags.push(format!("--cutout {}", (input.width / 4).max(1)));
    }
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!(" {} and", flags.join(", "))
    };
    Some(format!(
        "it overfits: {train} % of the training images are right, but {test} % of the test images; \
         try{flags} more pictures"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(train: f64, test: f64, recipe: &Recipe) -> Option<String> {
        let of = |percent| Accuracy::from_percent(percent).unwrap();
        overfitting(of(train), of(test), recipe, "3x32x32".parse().unwrap())
    }

    #[test]
    fn a_network_that_knows_its_images_by_heart_gets_the_flags_that_are_off() {
        let mut recipe = Recipe::default();
        recipe.augmentation = naschain_core::Augmentation::default();
        assert_eq!(hint(70.0, 60.0, &recipe), None);
        let text = hint(99.5, 61.0, &recipe).unwrap();
        for part in [
            "99.50 % of the training images",
            "61.00 % of the test images",
            "try --flip (",
            "--crop-padding 4, --cutout 8 and more pictures",
        ] {
            assert!(text.contains(part), "{text}");
        }
        recipe.augmentation.horizontal_flip = true;
        assert!(!hint(99.5, 61.0, &recipe).unwrap().contains("--flip"));
        (recipe.augmentation.crop_padding, recipe.augmentation.cutout) = (4, 8);
        assert!(
            hint(99.5, 61.0, &recipe)
                .unwrap()
                .ends_with("try more pictures")
        );
    }
}
