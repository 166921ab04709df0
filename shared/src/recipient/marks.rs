//! Marks of counted messages: two sets, of which the older one is forgotten when the newer one is closed.

use std::time::Duration;

use super::store::{StoreError, number};
use super::{Recipient, Recipients};
use crate::id::{AppId, ClientId};
use crate::time::Timestamp;

/// More marks than this in the newest set, and it may be closed once it is [`ROTATE_AFTER`] old.
pub(super) const MARKS_SOFT: usize = 24;
/// More marks than this, and the newest set is closed however young it is.
pub(super) const MARKS_HARD: usize = 200;
/// A set of marks is open for at least this long, so stragglers this far behind are still recognised.
pub(super) const ROTATE_AFTER: Duration = Duration::from_secs(15 * 60);
/// How long a record may wait between the queue and its worker before a mark's message can be younger than its set says.
pub(super) const MOST_LAG: Duration = Duration::from_secs(60);
impl Recipients {
    /// Closes the newest set of marks, if it is still the one seen: no mark was added, so all of its messages were claimed before `now`.
    /// One of several writers wins; `trimmed` only grows.
    pub(super) async fn rotate(
        &self,
        app: &AppId,
        client: &ClientId,
        recipient: &Recipient,
        begun: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (newest, older) = recipient.marks();
        let mut expression = String::from("SET m1 = m0, g = :now");
        let mut update = self
            .update(app, client)
            .condition_expression("g = :g AND size(m0) = :n")
            .expression_attribute_values(":g", number(begun.as_millis()))
            .expression_attribute_values(":n", number(newest))
            .expression_attribute_values(":now", number(now.as_millis()));
        // Marks are forgotten only where there is an older set to forget. Its messages were claimed before the newer set was begun, or
        // as much later as the clock that began it was behind the queue's own: a record waits a moment before it is taken up.
        let forgotten = begun.plus((now.since(begun) / 8).min(MOST_LAG));
        if older > 0 && recipient.trimmed.is_none_or(|trimmed| trimmed < forgotten) {
            expression.push_str(", trimmed = :trimmed");
            update = update.expression_attribute_values(":trimmed", number(forgotten.as_millis()));
        }
        expression.push_str(" REMOVE m0");
        self.conditional(update.update_expression(expression), false).await.map(|_| ())
    }
}

/// Whether the newest set of marks is to be closed.
pub(super) fn rotation_is_due(marks: usize, begun: Timestamp, now: Timestamp) -> bool {
    marks > MARKS_HARD && now > begun || marks > MARKS_SOFT && now.since(begun) >= ROTATE_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    #[test]
    fn marks_rotate_when_they_are_many_and_old_or_very_many() {
        assert!(!rotation_is_due(24, T, T.plus(ROTATE_AFTER)));
        assert!(rotation_is_due(25, T, T.plus(ROTATE_AFTER)));
        assert!(!rotation_is_due(25, T, T.plus(ROTATE_AFTER - Duration::from_millis(1))));
        assert!(!rotation_is_due(200, T, T.plus(Duration::from_secs(1))));
        assert!(rotation_is_due(201, T, T.plus(Duration::from_secs(1))));
        assert!(!rotation_is_due(201, T, T), "a set is not closed in the moment it was begun");
    }
}
