//! Task: one accepted request to notify an audience, the chunks it is cut into, and what became of them.

mod attempt;
mod head;
mod intake;
mod notice;
mod outcome;
mod pages;
mod record;
mod results;
mod walk;
mod whom;

pub use attempt::Attempt;
pub use head::{Extent, Head};
pub use intake::{Accepted, Intake, SubmitError};
pub use notice::Notice;
pub use outcome::Outcome;
pub use pages::{AudiencePage, PutPage};
pub use record::{Chunk, MOST_RECIPIENTS, Part, Target, TaskKey};
pub use results::{Fate, Leftovers, Put, ResultRow, Results, ResultsError, Split, Tally, TargetResult};
pub use walk::{Walk, Work};
pub use whom::{Members, Whom};
