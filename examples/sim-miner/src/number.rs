//! Conversions between whole numbers and hashes, in one place.

/// The nearest number that a float can hold.
#[expect(clippy::cast_precision_loss, reason = "figures for people: the nearest value will do")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

/// The whole part, at least 0; NaN is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast itself saturates at both ends"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

/// Rounded to two places.
pub(crate) fn cents(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
