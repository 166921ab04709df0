//! Task: one accepted request to notify an audience, the chunks it is cut into, and what became of them.

mod attempt;
mod intake;
mod outcome;
mod record;
mod results;

pub use attempt::Attempt;
pub use intake::{Accepted, Intake, SubmitError};
pub use outcome::Outcome;
pub use record::{Chunk, MOST_RECIPIENTS, Part, Target, TaskKey};
pub use results::{Leftovers, Put, ResultRow, Results, ResultsError, Split, Tally, TargetResult};
