//! Tables of figures, as Markdown.

use std::fmt::Write as _;

/// A part's text, and what it has to say about the bars.
#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
    bars: Vec<Bar>,
}

/// A bar, and what was measured.
#[derive(Debug)]
pub(crate) struct Bar {
    what: String,
    bar: String,
    measured: String,
    holds: bool,
}

impl Report {
    /// A part of that heading.
    pub(crate) fn new(heading: &str) -> Self {
        Self { text: format!("## {heading}\n"), bars: Vec::new() }
    }

    /// A paragraph.
    pub(crate) fn text(&mut self, text: &str) {
        let _ = write!(self.text, "\n{text}\n");
    }

    /// A table: its head, its rows.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let _ = write!(self.text, "\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }

    /// What a bar asks for, and whether what was measured holds it.
    pub(crate) fn bar(&mut self, what: impl Into<String>, bar: &str, measured: impl Into<String>, holds: bool) {
        self.bars.push(Bar { what: what.into(), bar: bar.to_owned(), measured: measured.into(), holds });
    }

    pub(crate) fn bars(&self) -> impl Iterator<Item = Vec<String>> {
        self.bars.iter().map(|bar| {
            let verdict = if bar.holds { "holds" } else { "**missed**" };
            vec![bar.what.clone(), bar.bar.clone(), bar.measured.clone(), verdict.to_owned()]
        })
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Figures of several runs: the median, and the spread where there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Vec<f64>);

impl Runs {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_unstable_by(f64::total_cmp);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn median(&self) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => self.0[n / 2],
            n => f64::midpoint(self.0[n / 2 - 1], self.0[n / 2]),
        }
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// `102 (98–110)`: the median, the least and the most.
    pub(crate) fn text(&self, digits: usize) -> String {
        let (least, most) = (self.0.first().copied().unwrap_or(f64::NAN), self.0.last().copied().unwrap_or(f64::NAN));
        let number = |value: f64| grouped(&format!("{value:.digits$}"));
        let (median, least, most) = (number(self.median()), number(least), number(most));
        if least == most { median } else { format!("{median} ({least}–{most})") }
    }
}

impl FromIterator<f64> for Runs {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let mut runs = Self::default();
        values.into_iter().for_each(|value| runs.push(value));
        runs
    }
}

/// `12345.6` as `12,345.6`.
pub(crate) fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 && whole.chars().all(|c| c.is_ascii_digit()) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_show_their_median_and_their_spread() {
        let runs: Runs = [1250.4, 980.0, 1100.0].into_iter().collect();
        assert_eq!(runs.text(0), "1,100 (980–1,250)");
        let even: Runs = [1.0, 2.0].into_iter().collect();
        assert_eq!(even.text(1), "1.5 (1.0–2.0)");
        let same: Runs = [3.0, 3.0].into_iter().collect();
        assert_eq!(same.text(2), "3.00");
    }

    #[test]
    fn a_table_is_markdown() {
        let mut report = Report::new("Size");
        report.table(&["function", "bytes"], &[vec!["deliver".to_owned(), grouped("12345")]]);
        assert_eq!(report.into_text(), "## Size\n\n| function | bytes |\n|---|---|\n| deliver | 12,345 |\n");
    }
}
