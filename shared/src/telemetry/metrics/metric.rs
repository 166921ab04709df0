//! What is measured, in which unit, and under which dimensions.

use metrique_writer_core::Unit;
use metrique_writer_core::unit::NegativeScale;

/// Everything that is measured. An alarm or a graph can name nothing else: a test compares `template.yaml` with this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Sends by vendor's verdict. Written by [`super::sent`] only.
    Sends,
    /// From a send's start to its verdict. Written by [`super::sent`] only.
    TimeToVendor,
    /// Percent of sends that were delivered: 100 or 0 of each, so that the average is the rate and the sample count how many there were.
    /// Dead tokens are in it neither way. Written by [`super::sent`] only.
    Success,
    /// Sends that failed for an app's credentials, rights or settings. Written by [`super::sent`] only.
    Misconfigured,
    /// Answers that a day's quota is used up. Written by [`super::sent`] only.
    QuotaPause,
    /// Log events: a vendor was found down or throttling, and is left alone for a while.
    BreakerOpen,
    /// Log events: it answers again.
    BreakerClosed,
    /// Devices that were not sent to because a breaker was open.
    BreakerPaused,
    /// Recipients whose badge was counted. A line of its own in every invocation: about 240 bytes of log.
    Counted,
    /// Recipients that had been counted before: a repeat, sent again.
    Repeat,
    /// Recipients that were sent to but not counted, as their message came too late.
    Uncounted,
    /// Devices that were tried until their message's end, or too often.
    GaveUp,
    /// Devices that an attempt has left for the next.
    LeftOver,
    /// Rows that `retry` has put into their queue.
    RetryMoved,
    /// Rows that a queue did not take from `retry`.
    RetryRefused,
    /// Due rows, at least so many, that `retry` had to leave for its next run.
    RetryBacklog,
    /// How long the oldest row that `retry` left has been due, in seconds.
    OldestDueAge,
    /// Log events: a recipient could not be counted or read, and is left over.
    RecipientLeftOver,
    /// Log events: a dead token stayed.
    DeadTokenLeft,
    /// Log events: a queue record failed and comes again.
    RecordFailed,
    /// Records that a queue refused and the deferred table took.
    QueueRefused,
    /// Log events: a task was queued without a claim.
    Unclaimed,
    /// Log events: messages, as their count, that are missing in an hour's sums.
    HourUnsummed,
    /// Log events: a vendor gave no access token.
    NoAccessToken,
    /// Log events: an app's own back end could not check a password.
    VerifyUrlFailed,
    /// Log events: the breakers' row was not read.
    BreakerUnread,
    /// Log events: the breakers' row was not written.
    BreakerUnwritten,
    /// Log events: rows of the deferred table are no records.
    DeferredUnreadable,
    /// Log events: a callback that is not for phones.
    ImkitIgnored,
    /// Log events: a call to OpenIM's push hook that is another of its webhooks.
    OpenimIgnored,
    /// Recipients that a rule of the filter keeps a push from. Counted with the rule: [`super::Of::Rule`].
    FilterRemoved,
    /// Log events: recipients whom a push is allowed to without a look at what they prefer, as reading that failed or took too long.
    Unfiltered,
    /// Log events: we could not judge a hook's call, or a part of it, and answered as the app's setting `on_error` says.
    HookAnsweredOnError,
    /// Log events: a hook's call could not be read, and was answered so too.
    HookUnreadable,
    /// Events that vendors reported, by vendor, stage and class. Written by [`super::reported`] only.
    PushResults,
    /// Log events: a callback of Tencent's that is not about pushes.
    TencentIgnored,
    /// Log events: a callback of Tencent's that cannot be read.
    TencentUnreadable,
    /// Log events: a callback of Tencent's that could not be kept, and does not come again.
    TencentLost,
    /// Reported events that are left out because a field of theirs is wrong.
    BadEvent,
    /// Log events: SNS did not create an endpoint.
    EndpointNotCreated,
    /// Log events: an SNS endpoint was left behind.
    EndpointNotDeleted,
    /// Outcomes that an app's own address took.
    Reported,
    /// Log events: posts of outcomes that an app's address did not take, and that are tried again.
    ReportFailed,
    /// Log events: posts that were not made, as the app's address is not a public one.
    ReportRefusedAddress,
    /// Outcomes that were not posted now, as the app's address had failed just before.
    ReportHeldBack,
    /// Log events: outcomes, as their count, that an app's address did not take for days, or does not want.
    ReportGivenUp,
    /// Log events: outcomes whose result row is gone.
    ReportRowGone,
    /// Devices that were deleted because SNS told that a push to them had failed for good.
    FeedbackDead,
    /// Devices that stayed although SNS told so: they were registered since, or are enabled again.
    FeedbackKept,
    /// What SNS told of endpoints that are nobody's, or of applications that no app is known to use.
    FeedbackUnknown,
    /// Log events: SNS told that a push had failed for good, for another reason than its token.
    FeedbackFailed,
    /// Pushes that rules of the apps' made of events.
    Triggered,
    /// Events of a table or bus that no rule is about.
    TriggerUnmatched,
    /// Log events: a rule matched an event and cannot push.
    TriggerRefused,
    /// Log events: what came is no event, and is left out.
    TriggerUnreadable,
}

/// How values of one invocation come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Added up.
    Count,
    /// The greatest stays.
    Greatest,
    /// All of them, in buckets.
    Spread,
}

/// Under which dimensions a metric is kept: what CloudWatch is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// `[stage]`. App and channel are on the line, for Logs Insights, and make no metric.
    Whole,
    /// `[stage]`, `[stage, app]`: what is rare, so that an app's metric is paid for in the hours in which something happens.
    App,
    /// `[stage]`, `[stage, channel]`, `[stage, app, channel]`: rare too.
    Channel,
    /// `[stage, channel, class]` and, unless `METRICS_BY_APP` is `false`, `[stage, app, class]`.
    Send,
    /// `[stage]`, `[stage, channel]`, on the line of the sends.
    Vendor,
    /// `[stage, rule]`: one for each rule, however many apps there are. The app is on the line.
    Rule,
    /// `[stage, vendor, push_stage, class]`: what vendors report, of all apps together. The app is on the line.
    Report,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 55] = [
        Self::Sends,
        Self::TimeToVendor,
        Self::Success,
        Self::Misconfigured,
        Self::QuotaPause,
        Self::BreakerOpen,
        Self::BreakerClosed,
        Self::BreakerPaused,
        Self::Counted,
        Self::Repeat,
        Self::Uncounted,
        Self::GaveUp,
        Self::LeftOver,
        Self::RetryMoved,
        Self::RetryRefused,
        Self::RetryBacklog,
        Self::OldestDueAge,
        Self::RecipientLeftOver,
        Self::DeadTokenLeft,
        Self::RecordFailed,
        Self::QueueRefused,
        Self::Unclaimed,
        Self::HourUnsummed,
        Self::NoAccessToken,
        Self::VerifyUrlFailed,
        Self::BreakerUnread,
        Self::BreakerUnwritten,
        Self::DeferredUnreadable,
        Self::ImkitIgnored,
        Self::OpenimIgnored,
        Self::FilterRemoved,
        Self::Unfiltered,
        Self::HookAnsweredOnError,
        Self::HookUnreadable,
        Self::PushResults,
        Self::TencentIgnored,
        Self::TencentUnreadable,
        Self::TencentLost,
        Self::BadEvent,
        Self::EndpointNotCreated,
        Self::EndpointNotDeleted,
        Self::Reported,
        Self::ReportFailed,
        Self::ReportRefusedAddress,
        Self::ReportHeldBack,
        Self::ReportGivenUp,
        Self::ReportRowGone,
        Self::FeedbackDead,
        Self::FeedbackKept,
        Self::FeedbackUnknown,
        Self::FeedbackFailed,
        Self::Triggered,
        Self::TriggerUnmatched,
        Self::TriggerRefused,
        Self::TriggerUnreadable,
    ];

    /// The metric's name in CloudWatch, and the word of a log event's `metric` field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sends => "sends",
            Self::TimeToVendor => "time_to_vendor",
            Self::Success => "success",
            Self::Misconfigured => "misconfigured",
            Self::QuotaPause => "quota_pause",
            Self::BreakerOpen => "breaker_open",
            Self::BreakerClosed => "breaker_closed",
            Self::BreakerPaused => "breaker_paused",
            Self::Counted => "counted",
            Self::Repeat => "repeat",
            Self::Uncounted => "uncounted",
            Self::GaveUp => "gave_up",
            Self::LeftOver => "left_over",
            Self::RetryMoved => "retry_moved",
            Self::RetryRefused => "retry_refused",
            Self::RetryBacklog => "retry_backlog",
            Self::OldestDueAge => "oldest_due_age_seconds",
            Self::RecipientLeftOver => "recipient_left_over",
            Self::DeadTokenLeft => "dead_token_left",
            Self::RecordFailed => "record_failed",
            Self::QueueRefused => "queue_refused",
            Self::Unclaimed => "unclaimed",
            Self::HourUnsummed => "hour_unsummed",
            Self::NoAccessToken => "no_access_token",
            Self::VerifyUrlFailed => "verify_url_failed",
            Self::BreakerUnread => "breaker_unread",
            Self::BreakerUnwritten => "breaker_unwritten",
            Self::DeferredUnreadable => "deferred_unreadable",
            Self::ImkitIgnored => "imkit_ignored",
            Self::OpenimIgnored => "openim_ignored",
            Self::FilterRemoved => "filter_removed",
            Self::Unfiltered => "unfiltered",
            Self::HookAnsweredOnError => "hook_answered_on_error",
            Self::HookUnreadable => "hook_unreadable",
            Self::PushResults => "push_results",
            Self::TencentIgnored => "tencent_ignored",
            Self::TencentUnreadable => "tencent_unreadable",
            Self::TencentLost => "tencent_lost",
            Self::BadEvent => "bad_event",
            Self::EndpointNotCreated => "endpoint_not_created",
            Self::EndpointNotDeleted => "endpoint_not_deleted",
            Self::Reported => "reported",
            Self::ReportFailed => "report_failed",
            Self::ReportRefusedAddress => "report_refused_address",
            Self::ReportHeldBack => "report_held_back",
            Self::ReportGivenUp => "report_given_up",
            Self::ReportRowGone => "report_row_gone",
            Self::FeedbackDead => "feedback_dead",
            Self::FeedbackKept => "feedback_kept",
            Self::FeedbackUnknown => "feedback_unknown",
            Self::FeedbackFailed => "feedback_failed",
            Self::Triggered => "triggered",
            Self::TriggerUnmatched => "trigger_unmatched",
            Self::TriggerRefused => "trigger_refused",
            Self::TriggerUnreadable => "trigger_unreadable",
        }
    }

    /// The metric of a log event's `metric` field.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == word)
    }

    /// Its dimensions.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::Sends => Shape::Send,
            Self::TimeToVendor | Self::Success => Shape::Vendor,
            Self::FilterRemoved => Shape::Rule,
            Self::PushResults => Shape::Report,
            Self::QuotaPause | Self::BreakerOpen | Self::BreakerClosed | Self::BreakerPaused => Shape::Channel,
            Self::Misconfigured
            | Self::Repeat
            | Self::Uncounted
            | Self::GaveUp
            | Self::LeftOver
            | Self::RecipientLeftOver
            | Self::DeadTokenLeft
            | Self::RecordFailed
            | Self::QueueRefused
            | Self::Unclaimed
            | Self::HourUnsummed
            | Self::VerifyUrlFailed
            | Self::BreakerUnread
            | Self::BreakerUnwritten
            | Self::Unfiltered
            | Self::HookAnsweredOnError
            | Self::HookUnreadable
            | Self::TencentUnreadable
            | Self::TencentLost
            | Self::BadEvent
            | Self::EndpointNotCreated
            | Self::EndpointNotDeleted
            | Self::ReportFailed
            | Self::ReportRefusedAddress
            | Self::ReportHeldBack
            | Self::ReportGivenUp
            | Self::ReportRowGone
            | Self::FeedbackDead
            | Self::FeedbackKept
            | Self::TriggerRefused => Shape::App,
            Self::Counted
            | Self::RetryMoved
            | Self::RetryRefused
            | Self::RetryBacklog
            | Self::OldestDueAge
            | Self::NoAccessToken
            | Self::DeferredUnreadable
            | Self::ImkitIgnored
            | Self::OpenimIgnored
            | Self::Reported
            | Self::FeedbackUnknown
            | Self::FeedbackFailed
            | Self::Triggered
            | Self::TriggerUnmatched
            | Self::TriggerUnreadable
            | Self::TencentIgnored => Shape::Whole,
        }
    }

    pub(super) const fn kind(self) -> Kind {
        if matches!(self, Self::TimeToVendor | Self::Success) {
            Kind::Spread
        } else if matches!(self, Self::RetryBacklog | Self::OldestDueAge) {
            Kind::Greatest
        } else {
            Kind::Count
        }
    }

    pub(super) const fn unit(self) -> Unit {
        if matches!(self, Self::TimeToVendor) {
            Unit::Second(NegativeScale::Milli)
        } else if matches!(self, Self::Success) {
            Unit::Percent
        } else if matches!(self, Self::OldestDueAge) {
            Unit::Second(NegativeScale::One)
        } else {
            Unit::Count
        }
    }
}

impl Shape {
    /// The dimension sets that a metric of this shape is kept under.
    #[must_use]
    pub const fn dimensions(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Whole => &[&["stage"]],
            Self::App => &[&["stage"], &["stage", "app"]],
            Self::Channel => &[&["stage"], &["stage", "channel"], &["stage", "app", "channel"]],
            Self::Send => &[&["stage", "channel", "class"], &["stage", "app", "class"]],
            Self::Vendor => &[&["stage"], &["stage", "channel"]],
            Self::Rule => &[&["stage", "rule"]],
            Self::Report => &[&["stage", "vendor", "push_stage", "class"]],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn a_metric_s_word_leads_back_to_it() {
        for (index, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, index);
            assert_eq!(Metric::from_word(metric.as_str()), Some(metric));
        }
        let words: BTreeSet<&str> = Metric::ALL.into_iter().map(Metric::as_str).collect();
        assert_eq!(words.len(), Metric::ALL.len());
    }

    #[test]
    fn a_name_is_one_that_cloudwatch_and_the_format_take() {
        for metric in Metric::ALL {
            let name = metric.as_str();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(
                !["stage", "app", "channel", "class", "rule", "vendor", "push_stage", "level", "timestamp"]
                    .contains(&name),
                "{name}"
            );
        }
    }

    #[test]
    fn every_word_that_a_log_event_counts_is_a_metric() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = BTreeSet::new();
        let mut folders: Vec<PathBuf> = vec![root.join("shared/src"), root.join("functions")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs")
                    && !path.components().any(|part| part.as_os_str() == "telemetry")
                {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for (_, rest) in text.match_indices("metric = \"").map(|(at, word)| text.split_at(at + word.len()))
                    {
                        found.insert(rest.split('"').next().unwrap().to_owned());
                    }
                }
            }
        }
        assert!(found.contains("queue_refused"), "{found:?}");
        for word in found {
            assert!(Metric::from_word(&word).is_some(), "{word} is in no list");
        }
    }
}
