//! What a vendor's code in a report means.

use super::{Stage, Vendor};

/// What an event says. The words are those of [`crate::delivery::Class`], with `ok` for what went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It went well.
    Ok,
    /// The token is dead.
    DeadToken,
    /// Passing trouble.
    Retry,
    /// Too fast.
    Throttled,
    /// The day's allowance is used up.
    Quota,
    /// The credential was refused, or the app has no right to it.
    Misconfigured,
    /// The message is not acceptable.
    BadMessage,
    /// A code that is in no table.
    Unrecognised,
}

impl Class {
    /// All of them, with the letter in keys and the word in answers and metrics.
    pub const ALL: [(Self, char, &'static str); 8] = [
        (Self::Ok, 'o', "ok"),
        (Self::DeadToken, 'x', "dead_token"),
        (Self::Retry, 'r', "retry"),
        (Self::Throttled, 't', "throttled"),
        (Self::Quota, 'q', "quota"),
        (Self::Misconfigured, 'c', "misconfigured"),
        (Self::BadMessage, 'b', "bad_message"),
        (Self::Unrecognised, 'u', "unrecognised"),
    ];

    /// The letter in keys.
    #[must_use]
    pub fn letter(self) -> char {
        Self::ALL[self as usize].1
    }

    /// The word in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    /// The class of a letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == letter).map(|(class, _, _)| class)
    }

    /// The class of a code that an event reports. 0 is well; a code that is in no table is unrecognised.
    #[must_use]
    pub fn of(vendor: Vendor, stage: Stage, code: i64) -> Self {
        let class = |vendor| {
            let row = TABLE.iter().find(|row| row.vendor == vendor && row.at(stage) && row.codes.contains(&code));
            row.map(|row| row.class)
        };
        // Tencent's own codes may stand for any vendor's.
        if code == 0 {
            Self::Ok
        } else {
            class(vendor).or_else(|| class(Vendor::Unknown)).unwrap_or(Self::Unrecognised)
        }
    }
}

/// Codes of a vendor that are of one class.
struct Row {
    vendor: Vendor,
    /// `None`: at any stage.
    stage: Option<Stage>,
    codes: &'static [i64],
    class: Class,
}

impl Row {
    fn at(&self, stage: Stage) -> bool {
        self.stage.is_none_or(|own| own == stage)
    }
}

const fn of(vendor: Vendor, codes: &'static [i64], class: Class) -> Row {
    Row { vendor, stage: None, codes, class }
}

/// Ours: Tencent documents of `ErrCode` only that 0 is well. A number that says two things is in no row, and neither is one that is known
/// from hearsay. Sources are the vendors' references; the page `classes.md` shows the rows.
static TABLE: &[Row] = &[
    // Tencent's own, of any vendor: <https://cloud.tencent.com/document/product/269/117847>.
    of(Vendor::Unknown, &[-1], Class::Unrecognised),
    of(Vendor::Unknown, &[1, 10_001], Class::Retry),
    // HTTP's status. 400 may be the token or the message.
    of(Vendor::Apns, &[410], Class::DeadToken),
    of(Vendor::Apns, &[500, 503], Class::Retry),
    of(Vendor::Apns, &[429], Class::Throttled),
    of(Vendor::Apns, &[403, 404, 405], Class::Misconfigured),
    of(Vendor::Apns, &[400, 413], Class::BadMessage),
    of(Vendor::Xiaomi, &[20_301], Class::DeadToken),
    of(Vendor::Xiaomi, &[-1, 1, 10_001, 10_002, 10_003, 10_037, 20_607, 22_102, 26_003, 65_029], Class::Retry),
    of(Vendor::Xiaomi, &[10_027, 26_004], Class::Throttled),
    of(Vendor::Xiaomi, &[10_034, 200_001], Class::Quota),
    of(
        Vendor::Xiaomi,
        &[10_031, 10_036, 21_301, 21_302, 21_303, 21_305, 22_000, 22_006, 22_007, 22_022, 26_006, 27_001],
        Class::Misconfigured,
    ),
    of(
        Vendor::Xiaomi,
        &[
            10_008, 10_012, 10_016, 10_017, 65_009, 65_011, 65_012, 65_013, 65_014, 65_015, 65_016, 65_017, 65_036,
            65_037, 65_038,
        ],
        Class::BadMessage,
    ),
    of(Vendor::Huawei, &[80_300_007], Class::DeadToken),
    // A receipt: the app is not installed, the phone does not know the token.
    Row { vendor: Vendor::Huawei, stage: Some(Stage::Delivered), codes: &[2, 5], class: Class::DeadToken },
    of(Vendor::Huawei, &[500, 502, 80_600_003, 81_000_001], Class::Retry),
    Row { vendor: Vendor::Huawei, stage: Some(Stage::Delivered), codes: &[14], class: Class::Retry },
    of(Vendor::Huawei, &[503, 80_100_017, 80_300_029], Class::Throttled),
    Row { vendor: Vendor::Huawei, stage: Some(Stage::Delivered), codes: &[102, 256], class: Class::Throttled },
    of(
        Vendor::Huawei,
        &[401, 404, 80_200_001, 80_200_003, 80_200_005, 80_300_002, 80_300_011, 80_300_013, 80_300_036, 80_300_037],
        Class::Misconfigured,
    ),
    of(
        Vendor::Huawei,
        &[80_100_001, 80_100_003, 80_100_004, 80_100_013, 80_100_016, 80_100_018, 80_100_022, 80_300_008],
        Class::BadMessage,
    ),
    of(Vendor::Fcm, &[404], Class::DeadToken),
    of(Vendor::Fcm, &[500, 503], Class::Retry),
    of(Vendor::Fcm, &[429], Class::Throttled),
    of(Vendor::Fcm, &[401, 403], Class::Misconfigured),
    of(Vendor::Fcm, &[400], Class::BadMessage),
    of(Vendor::Meizu, &[110_002, 110_003, 110_005], Class::DeadToken),
    of(Vendor::Meizu, &[500, 501, 513, 1_001, 1_003], Class::Retry),
    of(Vendor::Meizu, &[518, 519, 520], Class::Throttled),
    of(Vendor::Meizu, &[110_011, 110_019], Class::Quota),
    of(Vendor::Meizu, &[201, 1_006, 110_000, 110_001, 110_009, 110_031, 110_033, 110_053], Class::Misconfigured),
    of(Vendor::Meizu, &[1_005, 110_004, 110_051], Class::BadMessage),
    of(Vendor::Oppo, &[10_000, 10_001, 10_002, 10_003], Class::DeadToken),
    of(Vendor::Oppo, &[-1], Class::Retry),
    of(Vendor::Oppo, &[-2, 55], Class::Throttled),
    of(Vendor::Oppo, &[13, 33, 34], Class::Quota),
    of(Vendor::Oppo, &[11, 14, 15, 16, 17, 18, 19, 26, 27, 28, 29, 30], Class::Misconfigured),
    of(Vendor::Oppo, &[31, 32, 40, 41, 51, 54, 59, 67], Class::BadMessage),
    of(Vendor::Vivo, &[10_302], Class::DeadToken),
    of(Vendor::Vivo, &[10_040], Class::Retry),
    of(Vendor::Vivo, &[10_072, 10_093], Class::Throttled),
    of(Vendor::Vivo, &[10_070, 10_073, 10_252, 10_254], Class::Quota),
    of(Vendor::Vivo, &[10_000, 10_094], Class::Misconfigured),
    of(Vendor::Vivo, &[10_085, 10_096, 10_097, 10_104], Class::BadMessage),
    // HTTP's status; Honor's own codes are not known well enough.
    of(Vendor::Honor, &[500, 502, 504], Class::Retry),
    of(Vendor::Honor, &[429, 503], Class::Throttled),
    of(Vendor::Honor, &[401], Class::Misconfigured),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_class_s_letter_leads_back_to_it() {
        for (index, (class, letter, word)) in Class::ALL.into_iter().enumerate() {
            assert_eq!((class as usize, class.letter(), class.as_str()), (index, letter, word));
            assert_eq!(Class::from_letter(letter), Some(class));
        }
        assert_eq!(Class::from_letter('?'), None);
    }

    /// The page is what people read, the table is what the code does: neither changes without the other.
    #[test]
    fn every_code_has_the_class_that_the_documentation_says() {
        let page = include_str!("../../../docs/classes.md");
        let part = page.split("\n## ").find(|part| part.starts_with("Tencent's reports")).unwrap();
        let documented: Vec<&str> = part.lines().filter(|line| line.starts_with("| `")).collect();
        let rows: Vec<String> = TABLE
            .iter()
            .map(|row| {
                let stage = row.stage.map(|stage| format!(", {}", stage.as_str())).unwrap_or_default();
                let codes: Vec<String> = row.codes.iter().map(|code| format!("`{code}`")).collect();
                format!("| `{}`{stage} | {} | `{}` |", row.vendor.as_str(), codes.join(", "), row.class.as_str())
            })
            .collect();
        assert_eq!(documented, rows);
    }

    #[test]
    fn a_code_is_in_one_row_at_each_stage_and_zero_in_none() {
        for (stage, _) in Stage::ALL {
            let mut seen = BTreeSet::new();
            for row in TABLE.iter().filter(|row| row.at(stage)) {
                for code in row.codes {
                    assert!(*code != 0 && seen.insert((row.vendor, *code)), "{} {code}", row.vendor.as_str());
                    assert_eq!(Class::of(row.vendor, stage, *code), row.class);
                }
            }
        }
        for (vendor, _) in Vendor::ALL {
            for (stage, _) in Stage::ALL {
                assert_eq!(Class::of(vendor, stage, 0), Class::Ok);
                assert_eq!(Class::of(vendor, stage, 987_654_321), Class::Unrecognised);
            }
        }
    }

    #[test]
    fn a_number_means_what_its_vendor_means_by_it() {
        let sent = |vendor, code| Class::of(vendor, Stage::Sent, code);
        assert_eq!(sent(Vendor::Apns, 410), Class::DeadToken);
        assert_eq!(sent(Vendor::Fcm, 410), Class::Unrecognised);
        assert_eq!((sent(Vendor::Oppo, 10_001), sent(Vendor::Xiaomi, 10_001)), (Class::DeadToken, Class::Retry));
        // Where the vendor has no such code it is Tencent's.
        assert_eq!((sent(Vendor::Apns, 10_001), sent(Vendor::Apns, -1)), (Class::Retry, Class::Unrecognised));
        assert_eq!(sent(Vendor::Huawei, 5), Class::Unrecognised);
        assert_eq!(Class::of(Vendor::Huawei, Stage::Delivered, 5), Class::DeadToken);
    }
}
