//! What the functions weigh: the binary, zipped as Lambda is given it, and whose bytes they are.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

use crate::report::{Report, grouped};
use crate::{Error, rig};

/// The bar, in bytes.
const MOST_ZIPPED: usize = 5 * 1024 * 1024;

pub(crate) fn run(functions: &[&str]) -> Result<Report, Error> {
    let binaries = rig::binaries()?;
    let mut sizes = Vec::new();
    for function in functions {
        let binary = std::fs::read(binaries.join(function))?;
        sizes.push((*function, binary.len(), zipped(&binary)?));
    }
    sizes.sort_unstable_by_key(|(_, _, zipped)| std::cmp::Reverse(*zipped));
    let mut report = Report::new("Size");
    report.text(&format!(
        "`cargo run --release -p bench -- size`. Bytes of each function's stripped release binary, and zipped (deflate, level 9). Each may be \
         {} zipped.",
        grouped(&MOST_ZIPPED.to_string())
    ));
    let number = |n: usize| grouped(&n.to_string());
    let rows: Vec<_> =
        sizes.iter().map(|(name, plain, zipped)| vec![(*name).to_owned(), number(*plain), number(*zipped)]).collect();
    report.table(&["function", "stripped", "zipped"], &rows);
    let Some((largest, _, most)) = sizes.first() else { return Ok(report) };
    report.bar(
        "zipped binary of the largest function",
        "under 5 MB",
        format!("{} bytes ({largest})", number(*most)),
        *most < MOST_ZIPPED,
    );
    let with_symbols = binaries.with_file_name("symbols").join(largest);
    if with_symbols.is_file() {
        let (code, crates) = crates(&with_symbols)?;
        report.text(&format!(
            "The ten largest crates of `{largest}`, by the code that is theirs after inlining ({} bytes in all; `cargo build --profile symbols \
             --workspace --bin {largest}`):",
            number(code)
        ));
        #[expect(clippy::cast_precision_loss, reason = "a share to be read")]
        let share = |bytes: usize| format!("{:.1} %", bytes as f64 * 100.0 / code as f64);
        let rows: Vec<_> =
            crates.iter().take(10).map(|(name, bytes)| vec![name.clone(), number(*bytes), share(*bytes)]).collect();
        report.table(&["crate", "bytes of code", "of all"], &rows);
    } else {
        report.text(&format!(
            "Whose bytes `{largest}` has was not looked at: `cargo build --profile symbols --workspace --bin {largest}` makes the binary that tells it."
        ));
    }
    Ok(report)
}

/// Bytes of `binary` in a zip file, that file's own records included.
fn zipped(binary: &[u8]) -> Result<usize, Error> {
    /// A local header, a central one and the end record, with the name `bootstrap`.
    const RECORDS: usize = 30 + 46 + 22 + 2 * "bootstrap".len();
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(binary)?;
    Ok(encoder.finish()?.len() + RECORDS)
}

/// Bytes of code, in all and by crate, the largest first.
fn crates(binary: &Path) -> Result<(usize, Vec<(String, usize)>), Error> {
    let data = std::fs::read(binary)?;
    let file = object::File::parse(&*data)?;
    let code: u64 =
        file.sections().filter(|section| section.kind() == SectionKind::Text).map(|section| section.size()).sum();
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let name = symbol.name()?;
        *sizes.entry(owner(name)).or_default() += usize::try_from(symbol.size())?;
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_unstable_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok((usize::try_from(code)?, sizes))
}

/// The crate that a symbol belongs to. Of an implementation it is the crate of its type, of a generic one that of the outer type.
fn owner(symbol: &str) -> String {
    let Ok(name) = rustc_demangle::try_demangle(symbol) else { return "C and assembly".to_owned() };
    let name = format!("{name:#}");
    let name = name.trim_start_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let name =
        ["dyn ", "mut ", "impl ", "const "].iter().fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    match &name[..end] {
        "" => "other".to_owned(),
        "core" | "alloc" | "std" | "str" | "u8" | "u32" | "u64" | "usize" | "bool" | "T" => "std".to_owned(),
        own => own.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_symbol_belongs_to_the_crate_of_its_type() {
        let of = |name: &str| owner(name);
        assert_eq!(of("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"), "std");
        assert_eq!(
            of(
                "_ZN103_$LT$aws_sdk_sns..types..error.._not_found_exception..NotFoundException$u20$as$u20$core..fmt..Debug$GT$3fmt17hac5b9e0864953893E"
            ),
            "aws_sdk_sns"
        );
        assert_eq!(of("_ZN2h25proto7streams4recv17h0123456789abcdefE"), "h2");
        assert_eq!(of("memcpy"), "C and assembly");
    }

    #[test]
    fn zeroes_zip_to_nearly_nothing() {
        assert!(zipped(&[0; 100_000]).unwrap() < 400);
    }
}
