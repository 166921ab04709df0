//! Mode `deliver`: the push becomes a task of ours, and OpenIM is told not to send it. The recipients' rules are applied when it is counted.

use std::time::Duration;

use futures_util::future::try_join_all;
use pushbell::dialect::openim::answer::{Answer, Code};
use pushbell::dialect::openim::callback::Callback;
use pushbell::dialect::openim::compose;
use pushbell::filter::Filter;
use pushbell::id::ClientId;
use tokio::time::timeout_at;

use crate::judge::{Case, End, Verdict};
use crate::trouble::Trouble;
use crate::{Call, State};

/// How long the queue may take, whatever the app's deadline is: a task that is given up may be in the queue after all, and then both
/// notify. OpenIM waits for 5 s.
const QUEUE: Duration = Duration::from_secs(4);

impl Case<'_> {
    /// Queues what the push is to show.
    pub(crate) async fn take_over(
        &self,
        state: &State,
        call: &Call<'_>,
        filter: &Filter,
        mut callback: Callback,
    ) -> Verdict {
        if callback.content.sender.is_none() && !callback.is_worded() {
            callback.content.sender = self.nickname(state, &callback).await;
        }
        callback.mask(|text| filter.mask(text));
        let tasks = match compose::tasks(self.app, self.settings, &callback, call.now) {
            Ok(tasks) => tasks,
            Err(error) => return self.on_error(Some(&callback), Trouble::Callback(error)),
        };
        let submit = tasks.into_iter().map(|(message, clients)| state.intake.submit(message, clients, call.now));
        let accepted = match timeout_at(call.begun + QUEUE, try_join_all(submit)).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return self.on_error(Some(&callback), Trouble::Submit(error)),
            Err(_) => return self.on_error(Some(&callback), Trouble::SubmitLate),
        };
        let end = End::TakenOver(accepted.into_iter().map(|accepted| accepted.task).collect());
        Verdict::of(Answer::deny(self.command, Code::Handled, end.to_string()), end)
    }

    /// What the sender calls themself. Their message is delivered without it rather than late.
    async fn nickname(&self, state: &State, callback: &Callback) -> Option<String> {
        let sender = ClientId::parse(callback.sender.as_deref()?).ok()?;
        let mut glance = state.recipients.glance(self.app, std::slice::from_ref(&sender), self.until.into_std()).await;
        glance.found.remove(&sender)?.preferences.nickname
    }
}
