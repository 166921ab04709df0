//! An import that ends too soon, and is gone on with.

use crate::faults::{Effect, Rule, Target};

use super::*;

const ROWS: usize = 200;

impl Bench {
    /// Runs until so many rows are counted in the progress, and then is no more, as after `kill -9`.
    async fn killed_after(&self, args: &Import, rows: u64) {
        let progress = beside(&args.file, ".progress");
        let far_enough = || {
            let text = std::fs::read(&progress).ok()?;
            let read: Progress = serde_json::from_slice(&text).ok()?;
            (read.rows >= rows && !read.complete).then_some(())
        };
        let watched = async {
            while far_enough().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = self.import_as(args, hasty()) => panic!("it has come to its end"),
            () = watched => {}
        }
    }

    async fn everything_is_there_once(&self) {
        let clients = ROWS / 2;
        for n in (0..clients).step_by(7) {
            let expected = [2 * n, 2 * n + 1].into_iter().filter(|row| row % 10 != 9);
            let expected: Vec<String> = expected.map(|row| format!("token-{row}")).collect();
            let found = self.devices(&format!("client-{n}")).await;
            assert_eq!(found.iter().map(|device| device.token.expose()).collect::<Vec<_>>(), expected);
        }
        // A token's row and a member's for each device.
        let devices = ROWS - ROWS / 10;
        assert_eq!(self.rows(Table::Recipients).await, clients);
        let others = 2; // The apps' settings.
        assert_eq!(self.rows(Table::Registry).await, 2 * devices + others);
    }
}

#[tokio::test]
async fn a_killed_import_goes_on_and_counts_every_row_once() {
    let bench = Bench::start().await;
    let args = of(&bench.input("plain.csv", plain(ROWS)), Format::Plain);
    for rows in [30, 80, 150] {
        bench.killed_after(&args, rows).await;
    }
    // What was under way when it was killed is in the tables, and not in the progress.
    let (outcome, report) = bench.import_as(&args, hasty()).await.unwrap();
    assert_eq!(sums(&outcome.counts), [180, 0, 0, 20, 0], "{report}");
    assert_eq!(outcome.exit_code(), 3);
    bench.everything_is_there_once().await;
    let refused = bench.refused(&args.file);
    let expected = (0..20).map(|n| format!("{},token,is missing", 10 * n + 11));
    assert_eq!(refused[1..], expected.collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn rows_that_were_written_before_a_kill_are_imported_and_not_kept() {
    let bench = Bench::start().await;
    let args = of(&bench.input("plain.csv", plain(100)), Format::Plain);
    bench.import(&args.file, args.from).await.unwrap();
    // As if nothing had been written down since the beginning.
    let path = beside(&args.file, ".progress");
    let mut progress: Progress = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let whole = progress.clone();
    progress = Progress::new(progress.identity, progress.begun);
    progress.write(&path).unwrap();
    let outcome = bench.import(&args.file, args.from).await.unwrap();
    assert_eq!(outcome.counts, whole.counts);
}

#[tokio::test]
async fn an_import_that_is_killed_before_its_first_progress_counts_every_row_once() {
    let bench = Bench::start().await;
    let args = of(&bench.input("plain.csv", plain(ROWS)), Format::Plain);
    let begun = async { while bench.rows(Table::Recipients).await < 10 {} };
    tokio::select! {
        _ = bench.import_as(&args, Pace { save_every: Duration::from_secs(3600), ..hasty() }) => panic!("it has come to its end"),
        () = begun => {}
    }
    let outcome = bench.import(&args.file, args.from).await.unwrap();
    assert_eq!(sums(&outcome.counts), [180, 0, 0, 20, 0]);
    bench.everything_is_there_once().await;
}

#[tokio::test]
async fn progress_of_another_file_app_format_or_stack_is_not_taken_for_this_one_s() {
    let bench = Bench::start().await;
    let file = bench.input("plain.csv", plain(20));
    bench.import(&file, Format::Plain).await.unwrap();
    let other = async |args: &Import| bench.import_as(args, hasty()).await.unwrap_err().to_string();
    let path = beside(&file, ".progress");
    let told = |what: &str| format!("{} is of an import of another {what}; take it away to begin anew", path.display());
    assert_eq!(other(&of(&file, Format::Pinpoint)).await, told("format"));
    let demo_deliver = AppId::parse("demo-deliver").unwrap();
    assert_eq!(other(&Import { app: demo_deliver, ..of(&file, Format::Plain) }).await, told("app"));
    bench.input("plain.csv", plain(21));
    assert_eq!(other(&of(&file, Format::Plain)).await, told("file"));
    bench.input("plain.csv", plain(20));
    let mut progress: Progress = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    progress.identity.tables = "those of a stack that was started before".to_owned();
    progress.write(&path).unwrap();
    assert_eq!(other(&of(&file, Format::Plain)).await, told("stack"));
    std::fs::write(&path, "{").unwrap();
    assert!(other(&of(&file, Format::Plain)).await.contains("is not what an import has written"));
}

#[tokio::test]
async fn refused_rows_that_the_progress_tells_of_have_to_be_there() {
    let bench = Bench::start().await;
    let args = of(&bench.input("plain.csv", plain(ROWS)), Format::Plain);
    bench.killed_after(&args, 50).await;
    std::fs::remove_file(beside(&args.file, ".refused.csv")).unwrap();
    let error = bench.import(&args.file, args.from).await.unwrap_err().to_string();
    assert!(error.contains("plain.csv.refused.csv is not as the last run has left it"), "{error}");
}

#[tokio::test]
async fn two_imports_of_one_file_do_not_run_at_once() {
    let bench = Bench::start().await;
    let file = bench.input("plain.csv", plain(20));
    let held = Source::open(&file).unwrap();
    assert!(held.lock());
    let error = bench.import(&file, Format::Plain).await.unwrap_err();
    assert_eq!(error.to_string(), "another import of this file is running");
    drop(held);
    bench.import(&file, Format::Plain).await.unwrap();
}

#[tokio::test]
async fn a_row_whose_answer_is_lost_is_imported_once() {
    let bench = Bench::start().await;
    let lost = Rule::new(Target::Dynamodb, Effect::LoseAnswer500).action("TransactWriteItems").rate(0.3);
    bench.stack.aws.faults.add(lost).unwrap();
    let outcome = bench.import(&bench.input("plain.csv", plain(ROWS)), Format::Plain).await.unwrap();
    assert_eq!(sums(&outcome.counts), [180, 0, 0, 20, 0]);
    bench.everything_is_there_once().await;
}
