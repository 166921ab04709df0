//! Task: one accepted request to notify an audience, the chunks it is cut into, and what became of them.

mod attempt;
mod detail;
mod head;
mod hours;
mod intake;
mod notice;
mod outcome;
mod pages;
mod reason;
mod receipts;
mod record;
mod report;
mod results;
mod sums;
mod walk;
mod whom;
mod why;

pub use attempt::Attempt;
pub use detail::{Detail, FAN_OUT_LIMIT, State};
pub use head::{Extent, Head};
pub use hours::{Hour, HourSums, HourWriter};
pub use intake::{Accepted, Intake, SubmitError};
pub use notice::Notice;
pub use outcome::Outcome;
pub use pages::{AudiencePage, PutPage};
pub use reason::{Reason, Recount};
pub use receipts::{Stage, Standing};
pub use record::{Chunk, MOST_RECIPIENTS, Part, Target, TaskKey};
pub use report::{Deed, Excerpt, Report, Reportable, Unreported};
pub use results::{Fate, Leftovers, Put, ResultRow, Results, ResultsError, Split, Tally, TargetResult};
pub use sums::{Road, RoadSums, Sums};
pub use walk::{Walk, Work};
pub use whom::{Members, Whom};
pub use why::{Counted, DeviceWhy, Kind, Pending, Progress, TaskWhy, Try, Why};
