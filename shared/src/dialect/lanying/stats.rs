//! `/push/task/detail`: what became of tasks, in sums (its push page, 7.3). What Lanying does not count is ours: `honor`, `unknown`,
//! `..._click`, outcomes, state and times.

use serde_json::{Map, Number, Value, json};

use super::body::{self, Fields, bad};
use super::envelope::Failure;
use crate::call::BodyError;
use crate::delivery::Channel;
use crate::id::TaskId;
use crate::task::{Detail, Outcome, Road, Sums};

/// The most entries of a list.
pub const MOST_ENTRIES: usize = 100;
/// The longest id of a push, in bytes.
const MOST_ID: usize = 128;

/// A road as the counters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Apns,
    Fcm,
    /// Meizu.
    Flyme,
    Huawei,
    /// Lanying's own connection.
    Mxpush,
    Oppo,
    Vivo,
    Xiaomi,
    Honor,
    /// None, or none that is known.
    Unknown,
}

impl Word {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Apns, "apns"),
        (Self::Fcm, "fcm"),
        (Self::Flyme, "flyme"),
        (Self::Huawei, "huawei"),
        (Self::Mxpush, "mxpush"),
        (Self::Oppo, "oppo"),
        (Self::Vivo, "vivo"),
        (Self::Xiaomi, "xiaomi"),
        (Self::Honor, "honor"),
        (Self::Unknown, "unknown"),
    ];

    const fn of(road: Road) -> Self {
        match road {
            Road::Channel(Channel::Sns | Channel::Apns) => Self::Apns,
            Road::Channel(Channel::Fcm) => Self::Fcm,
            Road::Channel(Channel::Huawei) => Self::Huawei,
            Road::Channel(Channel::Xiaomi) => Self::Xiaomi,
            Road::Channel(Channel::Oppo) => Self::Oppo,
            Road::Channel(Channel::Vivo) => Self::Vivo,
            Road::Channel(Channel::Meizu) => Self::Flyme,
            Road::Channel(Channel::Honor) => Self::Honor,
            Road::Online => Self::Mxpush,
            Road::None => Self::Unknown,
        }
    }
}

/// What a body asks about.
#[derive(Debug, Default)]
pub struct Asked {
    /// Tasks, by the numbers that were given; `None` beside one that can be no task's.
    pub tasks: Vec<(Number, Option<TaskId>)>,
    /// Pushes and tasks of Tencent's, by its ids.
    pub pushes: Vec<String>,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// When there is neither list, one is empty or too long, or an entry is no whole number, or no id.
    pub fn parse(said: Result<&[u8], BodyError>) -> Result<Self, Failure> {
        let fields = Fields::parse(said)?;
        if fields.get("list").is_none() && fields.get("push_ids").is_none() {
            return Err(bad("list is missing, and so is push_ids"));
        }
        let number = |(index, entry): (usize, &Value)| {
            let number =
                body::whole(entry).ok_or_else(|| bad(format!("entry {index} of list is not a whole number")))?;
            let task = body::task(&number);
            Ok((number, task))
        };
        let push = |(index, entry): (usize, &Value)| {
            let id = entry.as_str().ok_or_else(|| bad(format!("entry {index} of push_ids is not a text")))?;
            if id.is_empty() || id.len() > MOST_ID {
                return Err(bad(format!("entry {index} of push_ids has not 1 to {MOST_ID} bytes")));
            }
            Ok(id.to_owned())
        };
        let tasks = entries(&fields, "list")?.iter().enumerate().map(number).collect::<Result<_, Failure>>()?;
        let pushes = entries(&fields, "push_ids")?.iter().enumerate().map(push).collect::<Result<_, Failure>>()?;
        Ok(Self { tasks, pushes })
    }
}

/// The entries of a list; none where it is absent.
fn entries<'f>(fields: &'f Fields, name: &str) -> Result<&'f [Value], Failure> {
    let Some(list) = fields.get(name) else { return Ok(&[]) };
    let list = list.as_array().ok_or_else(|| bad(format!("{name} is not a list")))?;
    if list.is_empty() {
        return Err(bad(format!("{name} is empty")));
    }
    if list.len() > MOST_ENTRIES {
        return Err(bad(format!("{name} has more than 100 entries")));
    }
    Ok(list)
}

/// What the answer says of one task; of one that is not there, zeros.
#[must_use]
pub fn object_of(id: &Number, detail: Option<&Detail>) -> Value {
    let none = Sums::default();
    let sums = detail.map_or(&none, |detail| &detail.sums);
    let mut object = Map::from_iter([
        ("task_id".to_owned(), json!(id)),
        ("found".to_owned(), json!(detail.is_some())),
        ("state".to_owned(), json!(detail.map(|detail| detail.state.as_str()))),
        ("created_at".to_owned(), json!(detail.map(|detail| detail.created_at))),
        ("done_at".to_owned(), json!(detail.and_then(|detail| detail.done_at))),
        ("target".to_owned(), json!(sums.target())),
        ("pending".to_owned(), json!(sums.pending())),
    ]);
    let finals = Outcome::ALL.into_iter().filter(|(outcome, ..)| outcome.is_final());
    let outcomes: Map<_, _> = finals.map(|(outcome, _, word)| (word.to_owned(), json!(sums.of(outcome)))).collect();
    object.insert("outcomes".to_owned(), Value::Object(outcomes));
    let mut counts = [[0; 4]; Word::ALL.len()];
    for (road, count) in sums.by_road() {
        let sums = &mut counts[Word::of(road) as usize];
        for (sum, n) in sums.iter_mut().zip([count.target, count.sent, count.received, count.clicked]) {
            *sum += n;
        }
    }
    for ((_, word), counts) in Word::ALL.into_iter().zip(counts) {
        for (name, n) in ["target", "sent", "received", "click"].into_iter().zip(counts) {
            object.insert(format!("{word}_{name}"), json!(n));
        }
    }
    Value::Object(object)
}
