//! Images, weights and logits as arrays of the crate ndarray.

use naschain_core::Shape;
use ndarray::{Array2, ArrayView1, ArrayView4, ArrayViewD, IxDyn};

use crate::{Error, Images, Model, NamedTensor, Options};

impl Images {
    /// Images from an array of images × channels × height × width pixels, and one label per image,
    /// counted from 0. Requires the feature `ndarray`.
    ///
    /// ```
    /// use naschain_train::Images;
    /// use ndarray::{Array4, array};
    ///
    /// let pixels = Array4::from_shape_fn((2, 1, 1, 3), |(image, _, _, column)| (10 * image + column) as u8);
    /// let images = Images::from_array(pixels.view(), array![0, 1].view())?;
    /// assert_eq!(images.pixels(&[1])?, [10, 11, 12]);
    /// # Ok::<(), naschain_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PixelCount`] for images without pixels, [`Error::LabelCount`] when there is not one
    /// label per image.
    pub fn from_array(
        pixels: ArrayView4<'_, u8>,
        labels: ArrayView1<'_, u16>,
    ) -> Result<Images, Error> {
        let (_, channels, height, width) = pixels.dim();
        let shape = Shape {
            channels,
            height,
            width,
        };
        let pixels = pixels.iter().copied().collect();
        Images::new(shape, pixels, labels.iter().copied().collect())
    }
}

impl NamedTensor {
    /// A view in the tensor's shape. Requires the feature `ndarray`.
    ///
    /// ```
    /// use naschain_train::NamedTensor;
    /// let tensor = NamedTensor {
    ///     name: "linear.weight".to_owned(),
    ///     shape: vec![2, 3],
    ///     values: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    /// };
    /// assert_eq!(tensor.view()?[[1, 0]], 3.0);
    /// # Ok::<(), naschain_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Weights`] when the shape and the number of values contradict each other.
    pub fn view(&self) -> Result<ArrayViewD<'_, f32>, Error> {
        ArrayViewD::from_shape(IxDyn(&self.shape), &self.values).map_err(|_| Error::Weights {
            problem: format!(
                "{} has {} values; its shape is {:?}",
                self.name,
                self.values.len(),
                self.shape
            ),
        })
    }
}

impl Model {
    /// The logits, images × classes, of an array of images × channels × height × width pixels from
    /// 0 to 255. Requires the feature `ndarray`.
    ///
    /// # Errors
    /// Those of [`Model::logits`], and [`Error::PixelCount`] for images of another shape.
    pub fn logits_of(
        &self,
        pixels: ArrayView4<'_, f32>,
        options: Options,
    ) -> Result<Array2<f32>, Error> {
        let shape = self.network.input();
        let (images, channels, height, width) = pixels.dim();
        if [channels, height, width] != [shape.channels, shape.height, shape.width] {
            let found = pixels.len();
            return Err(Error::PixelCount { found, shape });
        }
        let pixels: Vec<f32> = pixels.iter().copied().collect();
        let logits = self.logits(&pixels, options)?;
        let classes = self.network.classes();
        Ok(Array2::from_shape_fn(
            (images, classes),
            |(image, class)| logits[image * classes + class],
        ))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn labels_and_shapes_that_do_not_fit_are_refused() {
        let pixels = Array4::<u8>::zeros((2, 1, 2, 2));
        let error = Images::from_array(pixels.view(), ArrayView1::from(&[1])).unwrap_err();
        assert!(matches!(
            error,
            Error::LabelCount {
                labels: 1,
                images: 2
            }
        ));
        let tensor = NamedTensor {
            name: "bias".to_owned(),
            shape: vec![3],
            values: vec![0.0; 2],
        };
        let error = tensor.view().unwrap_err().to_string();
        assert!(
            error.ends_with("bias has 2 values; its shape is [3]"),
            "{error}"
        );
    }

    #[test]
    fn a_transposed_array_is_read_in_its_logical_order() {
        let planes =
            Array4::from_shape_fn((1, 3, 2, 2), |(_, c, y, x)| (100 * c + 10 * y + x) as u8);
        let last = planes
            .view()
            .permuted_axes([0, 2, 3, 1])
            .as_standard_layout()
            .into_owned();
        let back = last.view().permuted_axes([0, 3, 1, 2]);
        let images = Images::from_array(back, ArrayView1::from(&[0])).unwrap();
        assert_eq!(
            images.pixels(&[0]).unwrap(),
            planes.iter().copied().collect::<Vec<_>>()
        );
    }

    #[test]
    fn logits_are_those_of_the_pixels_in_order() {
        let digits = crate::Dataset::digits();
        let space = naschain_core::MacroSpace {
            phases: 1,
            nodes: 2,
            input: digits.shape,
            init_channels: 4,
            classes: digits.classes,
        };
        let genome = "10".parse().unwrap();
        let mut recipe = naschain_core::Recipe::default();
        (recipe.epochs, recipe.train_images, recipe.validation_images) = (1, 64, 64);
        let (architecture, options) = (space.decode(&genome).unwrap(), Options::default());
        let mut proceed = |_: &_| std::ops::ControlFlow::Continue(());
        let trained = crate::train(&architecture, &digits, &recipe, options, &mut proceed).unwrap();
        let model = Model::new(&space, &genome, &digits, &recipe, trained).unwrap();

        let pixels = Array4::from_shape_fn((3, 1, 8, 8), |(image, _, y, x)| {
            (60 * image + 7 * y + x) as f32
        });
        let flat: Vec<f32> = pixels.iter().copied().collect();
        let expected = model.logits(&flat, options).unwrap();
        let found = model.logits_of(pixels.view(), options).unwrap();
        assert_eq!(found.dim(), (3, 10));
        assert_eq!(found.iter().copied().collect::<Vec<_>>(), expected);
        // The same images, stored with columns before rows.
        let stored = pixels
            .view()
            .permuted_axes([0, 1, 3, 2])
            .as_standard_layout()
            .into_owned();
        let back = stored.view().permuted_axes([0, 1, 3, 2]);
        assert_eq!(model.logits_of(back, options).unwrap(), found);
        let wide = Array4::<f32>::zeros((1, 1, 4, 16));
        let error = model.logits_of(wide.view(), options).unwrap_err();
        assert!(
            matches!(error, Error::PixelCount { found: 64, .. }),
            "{error}"
        );
    }
}
