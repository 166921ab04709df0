//! AWS's list prices, and what they make of what was used.

use super::Spent;
use crate::report::Report;

/// A price in dollars, of a million of what it is for unless it says otherwise.
struct Price {
    what: &'static str,
    dollars: f64,
    unit: &'static str,
    source: &'static str,
}

const fn price(what: &'static str, dollars: f64, unit: &'static str, source: &'static str) -> Price {
    Price { what, dollars, unit, source }
}

const API: Price = price(
    "HTTP API, the first 300 million",
    1.00,
    "million calls of up to 512 KB",
    "aws.amazon.com/api-gateway/pricing, examples, as quoted on 2026-09-20",
);
const REQUESTS: Price =
    price("Lambda, requests", 0.20, "million", "aws.amazon.com/lambda/pricing, as quoted in October 2026");
const TIME: Price = price("Lambda on arm64, time", 0.000_013_333_4, "GB-second, to the millisecond", "the same");
const WRITES: Price =
    price("DynamoDB on demand, writes", 0.625, "million units", "AWS's price list AmazonDynamoDB of 2026-08-15");
const READS: Price = price("DynamoDB on demand, reads", 0.125, "million units", "the same");
const SQS: Price = price(
    "SQS, standard queue",
    0.40,
    "million requests of up to 64 KiB",
    "AWS's price list AWSQueueService of 2025-08-28",
);
const FAIR: Price = price(
    "SQS, message with a group id (fair queue)",
    0.10,
    "million requests, beside the above; taken here for sends",
    "the same; which calls bear it could not be verified",
);
const PUBLISHES: Price =
    price("SNS, publish", 0.50, "million requests of up to 64 KB", "AWS's price list of 2026-09-15");
const MOBILE: Price = price("SNS, mobile push", 0.50, "million notifications, beside the above", "the same");
const LOGS: Price =
    price("CloudWatch Logs, taken in", 0.50, "GB, the first 10 TB", "AWS's price list AmazonCloudWatch of 2026-08-06");
const TRACES: Price = price(
    "X-Ray, recorded traces",
    5.00,
    "million; Lambda records one call a second, and 5 % beyond",
    "aws.amazon.com/xray/pricing, undated",
);
const EGRESS: Price =
    price("Data out to the internet", 0.09, "GB, the first 10 TB", "AWS's price list AWSDataTransfer of 2026-07-20");

const ALL: [&Price; 12] =
    [&API, &REQUESTS, &TIME, &WRITES, &READS, &SQS, &FAIR, &PUBLISHES, &MOBILE, &LOGS, &TRACES, &EGRESS];

/// The share of calls that Lambda traces, beyond the first of each second.
const TRACED: f64 = 0.05;
/// What a request to FCM has on the wire beside its body: HTTP/2 frames with headers that are known already, TLS's record, TCP/IP.
const WIRE: f64 = 160.0;
/// Memory of a whole CPU, in MB.
const WHOLE_CPU: f64 = 1_769.0;
/// Memory of the functions, in MB, as in the template.
const HOOK_MEMORY: f64 = 256.0;
const FAN_OUT_MEMORY: f64 = 512.0;
pub(super) const DELIVER_MEMORY: f64 = 512.0;
/// A call to DynamoDB or SQS within the region, in milliseconds.
const AWS_CALL: f64 = 5.0;
/// A vendor's answer, in milliseconds.
const VENDOR: f64 = 100.0;
/// What `deliver` has in flight: counts, sends by FCM, sends by SNS.
const COUNTS: f64 = 100.0;
const FCM_SENDS: f64 = 600.0;
const SNS_SENDS: f64 = 75.0;

/// What a run used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) messages: u64,
    pub(super) recipients: u64,
    pub(super) pushes: u64,
    pub(super) write_units: f64,
    pub(super) read_units: f64,
    /// Requests to SQS by functions.
    pub(super) sends: u64,
    /// Requests to SNS.
    pub(super) publishes: u64,
    pub(super) vendor_bytes: u64,
    /// The hook, `fan-out`, `deliver`.
    pub(super) functions: [Spent; 3],
}

#[expect(clippy::cast_precision_loss, reason = "figures to be read")]
impl Used {
    pub(super) fn messages_f64(&self) -> f64 {
        self.messages as f64
    }

    pub(super) fn recipients_f64(&self) -> f64 {
        self.recipients as f64
    }

    pub(super) fn pushes_f64(&self) -> f64 {
        self.pushes as f64
    }

    pub(super) fn log_bytes(&self) -> f64 {
        self.functions.iter().map(|spent| spent.log_bytes as f64).sum()
    }

    fn invocations(&self) -> f64 {
        self.functions.iter().map(|spent| spent.invocations as f64).sum()
    }

    /// Of `deliver`: chunks of up to 100 recipients.
    fn records(&self) -> f64 {
        let of_message = (self.recipients_f64() / self.messages_f64() / 100.0).ceil();
        of_message * self.messages_f64()
    }

    pub(super) fn records_an_invocation(&self) -> f64 {
        self.records() / self.functions[2].invocations as f64
    }

    /// GB-seconds, with that memory of `deliver`.
    fn gb_seconds(&self, deliver_memory: f64) -> f64 {
        let [hook, fan_out, deliver] = self.functions;
        let waits = [2.0 * AWS_CALL, 3.0 * AWS_CALL, self.deliver_waits()];
        let memories = [HOOK_MEMORY, FAN_OUT_MEMORY, deliver_memory];
        let all = [hook, fan_out, deliver].into_iter().zip(waits).zip(memories);
        all.map(|((spent, wait), memory)| {
            let ms = spent.cpu_ms * WHOLE_CPU / memory + wait * spent.invocations as f64;
            ms / 1e3 * memory / 1_024.0
        })
        .sum()
    }

    /// How long an invocation of `deliver` waits, in milliseconds: counts, sends, its rows.
    fn deliver_waits(&self) -> f64 {
        let invocations = self.functions[2].invocations as f64;
        let sends = if self.publishes > 0 { SNS_SENDS } else { FCM_SENDS };
        let rounds = |all: f64, at_once: f64| (all / invocations / at_once).max(1.0);
        AWS_CALL * rounds(self.recipients_f64(), COUNTS) + VENDOR * rounds(self.pushes_f64(), sends) + AWS_CALL
    }

    /// How long an invocation of `deliver` takes with that memory, in milliseconds.
    fn deliver_ms(&self, memory: f64) -> f64 {
        let spent = self.functions[2];
        spent.cpu_ms / spent.invocations as f64 * WHOLE_CPU / memory + self.deliver_waits()
    }
}

/// Bytes to the vendors, with what the wire adds.
pub(super) fn bytes_out(used: &Used) -> f64 {
    if used.publishes > 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    let bodies = used.vendor_bytes as f64;
    bodies + WIRE * used.pushes_f64()
}

/// Dollars of a million pushes.
pub(super) struct Bill([f64; 9]);

impl Bill {
    pub(super) fn of(used: &Used) -> Self {
        Self::with_memory(used, DELIVER_MEMORY)
    }

    #[expect(clippy::cast_precision_loss, reason = "figures to be read")]
    fn with_memory(used: &Used, deliver_memory: f64) -> Self {
        let [_, fan_out, deliver] = used.functions;
        // Of each batch Lambda makes a receive and a delete.
        let polls = 2.0 * (fan_out.invocations + deliver.invocations) as f64;
        let lines = [
            used.messages_f64() * API.dollars,
            used.invocations() * REQUESTS.dollars,
            used.gb_seconds(deliver_memory) * 1e6 * TIME.dollars,
            used.write_units * WRITES.dollars + used.read_units * READS.dollars,
            (used.sends as f64 + polls) * SQS.dollars + used.sends as f64 * FAIR.dollars,
            used.log_bytes() / 1e3 * LOGS.dollars,
            used.invocations() * TRACED * TRACES.dollars,
            bytes_out(used) / 1e3 * EGRESS.dollars,
            used.publishes as f64 * (PUBLISHES.dollars + MOBILE.dollars),
        ];
        Self(lines.map(|dollars| dollars / used.pushes_f64()))
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = f64> {
        self.0.into_iter()
    }

    pub(super) fn total(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// What the memory of `deliver` does to time and cost.
pub(super) fn memory<'a>(report: &mut Report, cases: impl Iterator<Item = (String, &'a Used, bool)>) {
    report.text(
        "The memory of `deliver`: how long an invocation takes, and what a million pushes cost in Lambda's time of all functions. More memory is more \
         of a CPU, which is waited for in groups, and more dollars for waiting on vendors, which is most of an invocation in one-to-one chat.",
    );
    let sizes = [128.0, 256.0, 512.0, 1_024.0];
    let rows: Vec<_> = cases
        .filter(|(_, _, shown)| *shown)
        .map(|(name, used, _)| {
            let cell = |memory: &f64| {
                let dollars = Bill::with_memory(used, *memory).0[2];
                format!("{:.0} ms, ${dollars:.3}", used.deliver_ms(*memory))
            };
            std::iter::once(name).chain(sizes.iter().map(cell)).collect()
        })
        .collect();
    report.table(&["traffic", "128 MB", "256 MB", "512 MB", "1,024 MB"], &rows);
}

/// TIMPush by the month, and the pushes of a month for which it is as dear; with its source.
const TIMPUSH: (f64, &str) =
    (299.0, "tencentcloud.com/document/product/1047/33525, updated 2025-03-26; on top of a chat plan");

/// Beside what else there is.
pub(super) fn others<'a>(report: &mut Report, cases: impl Iterator<Item = (String, &'a Used, bool)>) {
    let alone = PUBLISHES.dollars + MOBILE.dollars;
    report.text(&format!(
        "SNS alone is ${alone:.2} for a million publishes to endpoints; it counts no badge, finds no phone and keeps no outcome. TIMPush is \
         ${:.0} a month ({}): as much as so many million pushes by Pushbell, directly:",
        TIMPUSH.0, TIMPUSH.1
    ));
    let rows: Vec<_> = cases
        .filter(|(_, _, direct)| *direct)
        .map(|(name, used, _)| vec![name, format!("{:.0}", TIMPUSH.0 / Bill::of(used).total())])
        .collect();
    report.table(&["traffic", "million pushes for TIMPush's month"], &rows);
}

/// The prices, and what was assumed.
pub(super) fn tables(report: &mut Report) {
    report.text(
        "Prices, in dollars, us-east-1. AWS's own tables could not be read here; each is what its source says of them:",
    );
    let rows: Vec<_> = ALL
        .iter()
        .map(|price| {
            vec![price.what.to_owned(), format!("{}", price.dollars), price.unit.to_owned(), price.source.to_owned()]
        })
        .collect();
    report.table(&["", "$", "for each", "source"], &rows);
    report.text("Assumed, not measured:");
    let rows = [
        ("a call to DynamoDB or SQS from a function", format!("{AWS_CALL} ms; two in the hook, three in fan-out")),
        ("a vendor's answer", format!("{VENDOR} ms")),
        ("in flight in deliver", format!("{COUNTS} counts, {FCM_SENDS} sends to FCM, {SNS_SENDS} to SNS")),
        ("on the wire beside the body of a request to FCM", format!("{WIRE} bytes")),
        ("memory", format!("{HOOK_MEMORY} MB generic-push, {FAN_OUT_MEMORY} fan-out, {DELIVER_MEMORY} deliver")),
        ("of each batch", "one receive and one delete by Lambda's poller".to_owned()),
        ("traces", format!("{:.0} % of invocations", TRACED * 100.0)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    report.table(&["", ""], &rows);
}
