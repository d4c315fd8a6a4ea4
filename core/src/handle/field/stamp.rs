//! Fields that hold the time of creation or of the last change.

use crate::model::Timestamp;

/// A type that holds a stamp: `Timestamp` or `Option<Timestamp>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold a stamp",
    note = "`created` and `updated` fields are of the type `Option<Timestamp>` or `Timestamp`"
)]
pub trait StampField {
    /// Takes the time.
    fn set_stamp(&mut self, time: Timestamp);

    /// Puts the time back to what it was; without one, an `Option` becomes `None` and a
    /// `Timestamp` stays.
    fn restore_stamp(&mut self, before: Option<Timestamp>);

    /// The time, if there is one.
    fn stamp(&self) -> Option<Timestamp>;
}

#[diagnostic::do_not_recommend]
impl StampField for Timestamp {
    fn set_stamp(&mut self, time: Timestamp) {
        *self = time;
    }

    fn restore_stamp(&mut self, before: Option<Timestamp>) {
        if let Some(before) = before {
            *self = before;
        }
    }

    fn stamp(&self) -> Option<Timestamp> {
        Some(*self)
    }
}

#[diagnostic::do_not_recommend]
impl StampField for Option<Timestamp> {
    fn set_stamp(&mut self, time: Timestamp) {
        *self = Some(time);
    }

    fn restore_stamp(&mut self, before: Option<Timestamp>) {
        *self = before;
    }

    fn stamp(&self) -> Option<Timestamp> {
        *self
    }
}
