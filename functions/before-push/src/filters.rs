//! The apps' rules on content, compiled once for as long as their settings stay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pushbell::app::Settings;
use pushbell::filter::Filter;
use pushbell::filter::words::WordsError;
use pushbell::id::AppId;

/// More apps than this in one environment is unheard of: it starts over.
const MOST_APPS: usize = 1_000;

/// The rules of every app that called.
#[derive(Default)]
pub(crate) struct Filters(Mutex<HashMap<AppId, Compiled>>);

struct Compiled {
    of: Arc<Settings>,
    filter: Arc<Filter>,
}

impl Filters {
    /// The rules in `settings`, which are the app's of now.
    pub(crate) fn of(&self, app: &AppId, settings: &Arc<Settings>) -> Result<Arc<Filter>, WordsError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Settings are read anew every few minutes, and nearly always say the same: a long list takes a while to compile.
        if let Some(compiled) = known.get_mut(app)
            && (Arc::ptr_eq(&compiled.of, settings) || compiled.of.filter == settings.filter)
        {
            compiled.of = Arc::clone(settings);
            return Ok(Arc::clone(&compiled.filter));
        }
        let filter = Arc::new(Filter::new(&settings.filter)?);
        if known.len() >= MOST_APPS {
            known.clear();
        }
        known.insert(app.clone(), Compiled { of: Arc::clone(settings), filter: Arc::clone(&filter) });
        Ok(filter)
    }
}
