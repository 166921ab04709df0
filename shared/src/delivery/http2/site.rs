//! The connections to one origin, and who may use which.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderName, HeaderValue, Method, Request, Version, header};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::line::Line;
use super::{Address, Answer, ConnectError, SendError, Settings, answer};
use crate::time::Timestamp;

/// A body travels in DATA frames of so many bytes: `h2` copies a smaller frame into its write buffer, together with those of other
/// requests, and flushes one of 1024 bytes or more on its own.
const FRAME: usize = 1000;
/// Requests at once on the first connection until the peer's SETTINGS are there (RFC 9113 recommends to allow no fewer).
const STREAMS: usize = 100;

pub(super) struct Site {
    pub(super) address: Address,
    settings: Settings,
    tls: TlsConnector,
    state: Mutex<State>,
    /// A stream is free (one waiter), or connections have changed (all waiters).
    changed: Notify,
}

#[derive(Default)]
struct State {
    lines: Vec<Arc<Line>>,
    opening: usize,
    waiting: usize,
    /// Attempts to open that failed, and why the last one did.
    failures: u64,
    failed: Option<ConnectError>,
}

/// A place on a connection. Given back when dropped.
struct Slot {
    site: Arc<Site>,
    line: Arc<Line>,
    since: Timestamp,
    answered: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.answered && self.line.heard() <= self.since {
            self.line.suspect.store(true, Ordering::Relaxed);
        }
        self.line.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.site.changed.notify_one();
    }
}

/// Counts a waiter as long as it waits.
struct Waiting<'a>(&'a Site);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Site {
    pub(super) fn new(address: Address, settings: Settings, tls: TlsConnector) -> Self {
        Self { address, settings, tls, state: Mutex::new(State::default()), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request and its answer. `sent` is set as soon as the request may be on its way.
    pub(super) async fn exchange(
        self: Arc<Self>,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        sent: &AtomicBool,
    ) -> Result<Answer, SendError> {
        let mut avoid: Option<Arc<Line>> = None;
        // Every connection may have died, and one that was opened since.
        let mut spare = self.settings.connections + 1;
        loop {
            let mut slot = self.acquire(avoid.as_ref()).await.map_err(SendError::Connect)?;
            let before = slot.line.written();
            let mut send = slot.line.send.clone();
            let (response, mut stream) = match send.send_request(request(address, headers, body.len()), body.is_empty())
            {
                Ok(begun) => begun,
                Err(error) => {
                    // Closed since it was last used. Nothing was sent.
                    self.remove(&slot.line);
                    if spare == 0 {
                        return Err(SendError::of(error, false));
                    }
                    spare -= 1;
                    continue;
                }
            };
            sent.store(true, Ordering::Relaxed);
            let mut rest = body.clone();
            while !rest.is_empty() {
                let frame = rest.split_to(rest.len().min(FRAME));
                if stream.send_data(frame, rest.is_empty()).is_err() {
                    // The response's future has the reason.
                    break;
                }
            }
            let error = match response.await {
                Ok(response) => {
                    slot.answered = true;
                    slot.line.hear(Timestamp::now());
                    let (head, stream) = response.into_parts();
                    let retry_after = answer::retry_after(&head.headers, SystemTime::now());
                    let body = answer::read(stream).await?;
                    return Ok(Answer { status: head.status, retry_after, body });
                }
                Err(error) => error,
            };
            // RFC 9113, 8.7: refused streams, and those above a GOAWAY's last stream, were not processed; `h2` gives a GOAWAY as
            // the error of the latter only.
            let refused = error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
            let unwritten = slot.line.written() == before;
            if error.is_reset() {
                slot.answered = true;
            } else {
                self.remove(&slot.line);
            }
            let again = if refused { avoid.is_none() } else { unwritten && spare > 0 };
            if !again {
                return Err(SendError::of(error, !(refused || unwritten)));
            }
            sent.store(false, Ordering::Relaxed);
            if refused {
                avoid = Some(Arc::clone(&slot.line));
            } else {
                spare -= 1;
            }
        }
    }

    async fn acquire(self: &Arc<Self>, avoid: Option<&Arc<Line>>) -> Result<Slot, ConnectError> {
        let failures = {
            let mut state = self.lock();
            if let Some(slot) = self.pick(&mut state, avoid) {
                return Ok(slot);
            }
            state.waiting += 1;
            state.failures
        };
        let _waiting = Waiting(self);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening before looking, or a change in between is missed.
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(slot) = self.pick(&mut state, avoid) {
                    return Ok(slot);
                }
                if state.failures != failures && state.opening == 0 && state.lines.is_empty() {
                    return Err(state.failed.clone().unwrap_or(ConnectError::Timeout));
                }
                self.open_as_needed(&mut state);
            }
            changed.await;
        }
    }

    /// A place on the first connection that has one: the others stay idle until they are needed, and writes are coalesced. On the
    /// one to `avoid` only when there can be no other.
    fn pick(self: &Arc<Self>, state: &mut State, avoid: Option<&Arc<Line>>) -> Option<Slot> {
        let now = Timestamp::now();
        let mut last_resort = None;
        let mut chosen = None;
        for line in &state.lines {
            if line.checking.load(Ordering::Relaxed) || !line.has_room() {
                continue;
            }
            if self.is_doubtful(line, now) {
                self.check(line);
            } else if avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, line)) {
                last_resort = Some(line);
            } else {
                chosen = Some(line);
                break;
            }
        }
        if chosen.is_none() && state.lines.len() + state.opening >= self.settings.connections {
            chosen = last_resort;
        }
        let line = Arc::clone(chosen?);
        line.in_flight.fetch_add(1, Ordering::AcqRel);
        Some(Slot { site: Arc::clone(self), line, since: now, answered: false })
    }

    fn is_doubtful(&self, line: &Line, now: Timestamp) -> bool {
        let silent = now.since(line.heard()) >= self.settings.silence;
        let doubtful = line.suspect.load(Ordering::Relaxed) || (silent && line.in_flight.load(Ordering::Acquire) == 0);
        doubtful && !line.checked.swap(false, Ordering::Relaxed)
    }

    /// Pings a connection; it serves again when the peer answers, and goes when it does not.
    fn check(self: &Arc<Self>, line: &Arc<Line>) {
        line.checking.store(true, Ordering::Relaxed);
        let (site, line) = (Arc::downgrade(self), Arc::clone(line));
        let limit = self.settings.ping;
        tokio::spawn(async move {
            let alive = tokio::time::timeout(limit, line.answers()).await.unwrap_or(false);
            let Some(site) = site.upgrade() else { return };
            if alive {
                line.hear(Timestamp::now());
                line.checked.store(true, Ordering::Relaxed);
                line.checking.store(false, Ordering::Relaxed);
                site.changed.notify_waiters();
            } else {
                site.remove(&line);
            }
        });
    }

    /// The first connection alone; then as many more as those who wait will fill.
    fn open_as_needed(self: &Arc<Self>, state: &mut State) {
        let checking = state.lines.iter().filter(|line| line.checking.load(Ordering::Relaxed)).count();
        // What the peer allows on one connection it will allow on the next.
        let streams = state.lines.iter().map(|line| line.streams()).min().unwrap_or(STREAMS).max(1);
        let wanted =
            if checking == state.lines.len() { usize::from(checking == 0) } else { state.waiting.div_ceil(streams) };
        let most = self.settings.connections.saturating_sub(state.lines.len());
        while state.opening < wanted.min(most) {
            state.opening += 1;
            let site = Arc::downgrade(self);
            let (address, tls, limit) = (self.address.clone(), self.tls.clone(), self.settings.connect);
            tokio::spawn(async move {
                let opened = tokio::time::timeout(limit, Line::connect(&address, &tls, streams)).await;
                if let Some(site) = site.upgrade() {
                    site.opened(opened.unwrap_or(Err(ConnectError::Timeout)));
                }
            });
        }
    }

    fn opened(self: &Arc<Self>, result: Result<(Line, super::line::Driver), ConnectError>) {
        let mut state = self.lock();
        state.opening -= 1;
        match result {
            Ok((line, driver)) => {
                let line = Arc::new(line);
                state.lines.push(Arc::clone(&line));
                // Weak, so that the connection closes with the pool.
                let (site, line) = (Arc::downgrade(self), Arc::downgrade(&line));
                tokio::spawn(async move {
                    driver.await;
                    if let (Some(site), Some(line)) = (Weak::upgrade(&site), Weak::upgrade(&line)) {
                        site.remove(&line);
                    }
                });
            }
            Err(error) => {
                tracing::debug!(error = %error, "no connection to a vendor");
                state.failures += 1;
                state.failed = Some(error);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// No further requests on it. Those that it carries go on.
    fn remove(&self, line: &Arc<Line>) {
        self.lock().lines.retain(|other| !Arc::ptr_eq(other, line));
        self.changed.notify_waiters();
    }
}

fn request(address: &Address, headers: &[(HeaderName, HeaderValue)], length: usize) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = address.uri.clone();
    let map = request.headers_mut();
    map.reserve(headers.len() + 1);
    for (name, value) in headers {
        map.insert(name.clone(), value.clone());
    }
    map.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    request
}
