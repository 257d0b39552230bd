//! The marks of a drawing.

use naschain_core::Shape;

/// Radius of the corners of a line.
const CORNER: f64 = 6.0;

/// A shape as in the captions, such as 3×32×32.
pub(super) fn shown(shape: Shape) -> String {
    shape.to_string().replace('x', "×")
}

pub(super) fn rect(centre: (f64, f64), size: (f64, f64), class: &str, title: &str) -> String {
    let (x, y) = (centre.0 - size.0 / 2.0, centre.1 - size.1 / 2.0);
    format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"7\">{}</rect>",
        size.0,
        size.1,
        titled(title)
    )
}

pub(super) fn text(x: f64, y: f64, text: &str, class: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")
}

/// What is shown at a mark under the pointer.
fn titled(title: &str) -> String {
    if title.is_empty() {
        return String::new();
    }
    format!("<title>{title}</title>")
}

/// A line through these points with rounded corners and an arrow head at its end.
pub(super) fn line(points: &[(f64, f64)], title: &str) -> String {
    let mut path = String::new();
    for (at, &(x, y)) in points.iter().enumerate() {
        let (Some(&before), Some(&after)) = (points.get(at.wrapping_sub(1)), points.get(at + 1))
        else {
            path += &format!("{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
            continue;
        };
        let (start, end) = (towards((x, y), before), towards((x, y), after));
        path += &format!(
            "L{:.1} {:.1}Q{x:.1} {y:.1} {:.1} {:.1}",
            start.0, start.1, end.0, end.1
        );
    }
    format!("<path class=\"edge\" d=\"{path}\">{}</path>", titled(title))
}

/// The point where the corner at `corner` starts, on the way to `other`.
fn towards(corner: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (other.0 - corner.0, other.1 - corner.1);
    let length = dx.hypot(dy).max(1e-9);
    let share = CORNER.min(length / 2.0) / length;
    (corner.0 + dx * share, corner.1 + dy * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_rounded() {
        let path = line(&[(0.0, 0.0), (20.0, 0.0), (20.0, 30.0)], "");
        assert!(
            path.contains("M0.0 0.0L14.0 0.0Q20.0 0.0 20.0 6.0L20.0 30.0"),
            "{path}"
        );
    }
}
