//! Many durations in few numbers.

use metrique_writer_core::Observation;

/// The most values of one metric that a line may hold (the format's own limit). Above 60 seconds nothing of ours lasts.
const BUCKETS: u16 = 100;
/// Each bucket is about a ninth wider than the one before: 100 of them reach from 0 to 68 seconds.
const WIDTH: f64 = 8.9;

/// Durations in milliseconds, in buckets: a line holds each bucket's mean and its count.
#[derive(Debug, Default, Clone)]
pub(super) struct Spread {
    /// Sorted by bucket: number, sum, count.
    buckets: Vec<(u16, u64, u64)>,
}

impl Spread {
    pub(super) fn add(&mut self, ms: u64) {
        let bucket = bucket_of(ms);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _, _)| *bucket) {
            Ok(at) => {
                let (_, sum, count) = &mut self.buckets[at];
                *sum = sum.saturating_add(ms);
                *count += 1;
            }
            Err(at) => self.buckets.insert(at, (bucket, ms, 1)),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "sums of milliseconds stay far below 2^53")]
    pub(super) fn observations(&self) -> impl Iterator<Item = Observation> {
        self.buckets.iter().map(|(_, sum, count)| Observation::Repeated { total: *sum as f64, occurrences: *count })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a logarithm of a u64, times 8.9, is between 0 and 400"
)]
fn bucket_of(ms: u64) -> u16 {
    ((((ms as f64) + 1.0).ln() * WIDTH) as u16).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_holds_more_than_a_hundred_values() {
        let mut spread = Spread::default();
        for ms in (0..100_000).chain([u64::MAX]) {
            spread.add(ms);
        }
        assert!(spread.observations().count() <= 100);
    }

    #[test]
    fn a_bucket_s_mean_is_within_a_tenth_of_each_of_its_values() {
        for ms in [1_u64, 9, 40, 150, 151, 400, 5_000, 30_000] {
            let others = (1..60_000).filter(|other| bucket_of(*other) == bucket_of(ms));
            let (least, most) = others.fold((u64::MAX, 0), |(least, most), ms| (least.min(ms), most.max(ms)));
            assert!(most - least <= least / 8 + 1, "{ms}: {least} to {most}");
        }
        assert!(bucket_of(60_000) < BUCKETS - 1, "what lasts a whole invocation has a bucket of its own");
    }
}
