//! Where the texts beside points go: on no mark, line or other text.

/// How far a text may be from its point before a line has to connect them, in pixels.
pub(super) const NEAR: i32 = 12;
/// The directions in which a text is tried, the first being the best. The front rises to the right,
/// so there is most room above and to the left of a point.
const DIRECTIONS: [(f64, f64); 16] = [
    (-0.7, -0.7),
    (0.7, 0.7),
    (0.0, -1.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (1.0, 0.0),
    (-0.7, 0.7),
    (0.7, -0.7),
    (-0.4, -0.9),
    (0.4, 0.9),
    (-0.9, -0.4),
    (0.9, 0.4),
    (0.4, -0.9),
    (-0.4, 0.9),
    (0.9, -0.4),
    (-0.9, 0.4),
];

/// A rectangle in pixels; `y` grows downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelBox {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl PixelBox {
    /// The square around a mark.
    pub(super) fn around((x, y): (i32, i32), radius: i32) -> PixelBox {
        PixelBox::of_line((x, y), (x, y), radius)
    }

    /// The rectangle around a horizontal or vertical line.
    pub(super) fn of_line(a: (i32, i32), b: (i32, i32), margin: i32) -> PixelBox {
        PixelBox {
            left: a.0.min(b.0) - margin,
            top: a.1.min(b.1) - margin,
            right: a.0.max(b.0) + margin,
            bottom: a.1.max(b.1) + margin,
        }
    }

    pub(super) fn overlaps(&self, other: &PixelBox) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn is_within(&self, area: &PixelBox) -> bool {
        self.left >= area.left
            && self.right <= area.right
            && self.top >= area.top
            && self.bottom <= area.bottom
    }

    /// The point of the rectangle that is nearest to `point`.
    pub(super) fn nearest(&self, point: (i32, i32)) -> (i32, i32) {
        (
            point.0.clamp(self.left, self.right),
            point.1.clamp(self.top, self.bottom),
        )
    }

    /// Whether a line has to connect it with its point.
    pub(super) fn is_far_from(&self, point: (i32, i32)) -> bool {
        let nearest = self.nearest(point);
        (nearest.0 - point.0).abs().max((nearest.1 - point.1).abs()) > NEAR
    }
}

/// x and y, in pixels.
type PixelPoint = (i32, i32);
/// Width and height, in pixels.
type PixelSize = (i32, i32);

/// Finds a place within `area` for the text of each point, given its size: the nearest one that
/// overlaps nothing of `taken` and none of the texts before it. `None` if there is none.
pub(super) fn place_labels(
    labels: &[(PixelPoint, PixelSize)],
    mut taken: Vec<PixelBox>,
    area: PixelBox,
) -> Vec<Option<PixelBox>> {
    let mut placed = Vec::new();
    for &(point, size) in labels {
        let is_free = |place: &PixelBox| {
            place.is_within(&area) && !taken.iter().any(|other| other.overlaps(place))
        };
        let found = candidates(point, size, area).find(is_free);
        taken.extend(found);
        placed.push(found);
    }
    placed
}

/// The places to try for a text, the nearest first.
fn candidates(
    point: (i32, i32),
    size: (i32, i32),
    area: PixelBox,
) -> impl Iterator<Item = PixelBox> {
    let farthest = (area.right - area.left).max(area.bottom - area.top);
    let half = (f64::from(size.0) / 2.0, f64::from(size.1) / 2.0);
    let distances = (9..farthest.max(10)).step_by(4);
    distances.flat_map(move |distance| {
        DIRECTIONS.iter().map(move |&(dx, dy)| {
            let distance = f64::from(distance);
            // The centre of the text, so far that the text is beside the point.
            let x = f64::from(point.0) + dx * distance + dx.signum() * half.0 * share(dx);
            let y = f64::from(point.1) + dy * distance + dy.signum() * half.1 * share(dy);
            let (left, top) = ((x - half.0).round() as i32, (y - half.1).round() as i32);
            PixelBox {
                left,
                top,
                right: left + size.0,
                bottom: top + size.1,
            }
        })
    })
}

/// How much of half its size a text is moved in a direction: all, except along an axis.
fn share(direction: f64) -> f64 {
    (direction.abs() / 0.7).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Purpose, Stream};

    const AREA: PixelBox = PixelBox {
        left: 70,
        top: 40,
        right: 540,
        bottom: 370,
    };

    /// A random front: points, and the boxes of its marks and lines.
    fn front(random: &mut Stream) -> (Vec<(i32, i32)>, Vec<PixelBox>) {
        let mut within = |from: i32, to: i32| from + random.index((to - from) as usize) as i32;
        let count = within(3, 20) as usize;
        let mut x: Vec<i32> = (0..count).map(|_| within(72, 530)).collect();
        let mut y: Vec<i32> = (0..count).map(|_| within(50, 365)).collect();
        x.sort_unstable();
        y.sort_unstable_by(|a, b| b.cmp(a));
        let points: Vec<(i32, i32)> = x.into_iter().zip(y).collect();
        let mut taken: Vec<PixelBox> = points.iter().map(|p| PixelBox::around(*p, 6)).collect();
        for (a, b) in points.iter().zip(&points[1..]) {
            taken.push(PixelBox::of_line(*a, (b.0, a.1), 2));
            taken.push(PixelBox::of_line((b.0, a.1), *b, 2));
        }
        // Evaluated networks and test accuracies.
        taken.extend((0..60).map(|_| PixelBox::around((within(70, 540), within(40, 370)), 5)));
        (points, taken)
    }

    #[test]
    fn texts_of_random_fronts_overlap_nothing() {
        let mut random = Stream::new(1, Purpose::Simulation, 0, 0);
        for _ in 0..300 {
            let (points, taken) = front(&mut random);
            let (first, last) = (points[0], points[points.len() - 1]);
            let middle = points[points.len() / 2];
            let labels = [(last, (30, 14)), (middle, (34, 14)), (first, (58, 14))];
            let placed = place_labels(&labels, taken.clone(), AREA);
            let mut texts: Vec<PixelBox> = Vec::new();
            for place in placed {
                let place = place.expect("a place is found");
                assert!(place.is_within(&AREA), "{place:?}");
                assert!(!taken.iter().chain(&texts).any(|b| b.overlaps(&place)));
                texts.push(place);
            }
        }
    }

    #[test]
    fn a_text_is_beside_its_point() {
        let point = (300, 200);
        let taken = vec![PixelBox::around(point, 6)];
        let placed = place_labels(&[(point, (40, 14))], taken, AREA);
        let place = placed[0].expect("a place is found");
        assert!(!place.is_far_from(point), "{place:?}");
        assert!(place.right <= 300 && place.bottom <= 200, "{place:?}");
    }

    #[test]
    fn a_text_without_a_free_place_is_left_out() {
        assert_eq!(
            place_labels(&[((300, 200), (40, 14))], vec![AREA], AREA),
            [None]
        );
    }
}
