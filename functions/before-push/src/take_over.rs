//! Mode `deliver`: the push becomes a task of ours, and OpenIM is told not to send it. The recipients' rules are applied when it is counted.

use std::time::Duration;

use futures_util::future::try_join_all;
use pushbell::call;
use pushbell::dialect::openim::answer::{Answer, Code};
use pushbell::dialect::openim::callback::Callback;
use pushbell::dialect::openim::compose;
use pushbell::filter::Filter;
use pushbell::id::ClientId;
use tokio::time::{Instant, timeout_at};

use crate::judge::{Case, End, Verdict};
use crate::trouble::Trouble;
use crate::{Call, OPERATION, State};

/// How long a call may take until its task is queued, whatever the app's deadline is: a task that is given up may be in the queue after
/// all, and then both notify. OpenIM waits for 5 s.
const QUEUE: Duration = Duration::from_secs(4);
/// The same for 2.3, which waits for 2 s.
const QUEUE_OF_2_3: Duration = Duration::from_millis(1_700);
/// How long a sender's nickname may take of that.
const NICKNAME: Duration = Duration::from_millis(400);

impl Case<'_> {
    /// Queues what the push is to show.
    pub(crate) async fn take_over(
        &self,
        state: &State,
        call: &Call<'_>,
        filter: &Filter,
        mut callback: Callback,
    ) -> Verdict {
        // A withdrawal says nothing.
        if let Some(sender) = self.sender(&callback).filter(|_| callback.content.revoked.is_none()) {
            // People choose it themselves.
            let nickname = self.nickname(state, sender).await;
            callback.content.sender = nickname.filter(|nickname| !filter.rejects(nickname));
        }
        callback.mask(|text| filter.mask(text));
        let tasks = match compose::tasks(self.app, self.settings, &callback, call.now) {
            Ok(tasks) => tasks,
            Err(error) => return self.on_error(Some(&callback), Trouble::Callback(error)),
        };
        let frugal = self.settings.frugal;
        let submit =
            tasks.into_iter().map(|(message, clients)| state.intake.submit(message, clients, frugal, call.now));
        let accepted = match timeout_at(call.begun + self.patience(call), try_join_all(submit)).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return self.on_error(Some(&callback), Trouble::Submit(error)),
            Err(_) => return self.on_error(Some(&callback), Trouble::SubmitLate),
        };
        let end = End::TakenOver(accepted.into_iter().map(|accepted| accepted.task).collect());
        Verdict::of(Answer::deny(self.command, Code::Handled, end.to_string()), end)
    }

    /// How long OpenIM is surely there to hear the answer. 2.3 names a request in its body alone.
    fn patience(&self, call: &Call<'_>) -> Duration {
        let is_2_3 = !self.command.has_before() && call::header(call.request.headers(), OPERATION).is_none();
        if is_2_3 { QUEUE_OF_2_3 } else { QUEUE }
    }

    /// What the sender calls themself. Their message is delivered without it rather than late.
    async fn nickname(&self, state: &State, sender: ClientId) -> Option<String> {
        let until = self.until.min(Instant::now() + NICKNAME);
        let mut glance = state.recipients.glance(self.app, std::slice::from_ref(&sender), until.into_std()).await;
        glance.found.remove(&sender)?.preferences.nickname
    }
}
