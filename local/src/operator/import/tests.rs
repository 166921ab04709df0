//! The command against a stack of its own, with the files in `events/import`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fixtures;
mod resume;
mod trouble;

use std::path::Path;

use pushbell::id::{ClientId, DeviceKey};
use pushbell::recipient::{Device, Recipients};

use super::*;
use crate::stack::{Options, Stack};

/// A stack, and a folder for inputs.
struct Bench {
    stack: Stack,
    deployment: Deployment,
    folder: tempfile::TempDir,
}

/// Nobody waits in tests, and progress is written with every record.
fn hasty() -> Pace {
    let patience = Patience { first: Duration::ZERO, longest: Duration::ZERO, limit: Duration::from_secs(60) };
    Pace { patience, save_every: Duration::ZERO }
}

impl Bench {
    async fn start() -> Self {
        let stack = Stack::start(Options::test()).await.unwrap();
        let wanted = Where { url: Some(stack.url()), ..Where::default() };
        let deployment = Deployment::find(&wanted).await.unwrap();
        Self { stack, deployment, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An input of one of the files in `events/import`.
    fn fixture(&self, name: &str) -> PathBuf {
        let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/import");
        std::fs::copy(events.join(name), self.path(name)).unwrap();
        self.path(name)
    }

    fn input(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    async fn import(&self, file: &Path, from: Format) -> Result<Outcome, ImportError> {
        self.import_as(&of(file, from), hasty()).await.map(|(outcome, _)| outcome)
    }

    async fn import_as(&self, args: &Import, pace: Pace) -> Result<(Outcome, String), ImportError> {
        let mut report = Vec::new();
        let outcome = run_at(&self.deployment, args, pace, &mut report).await?;
        Ok((outcome, String::from_utf8(report).unwrap()))
    }

    async fn devices(&self, client: &str) -> Vec<Device> {
        let recipients = Recipients::new(&self.deployment.env).unwrap();
        let client = ClientId::parse(client).unwrap();
        let found = recipients.get(&AppId::parse("demo").unwrap(), &client, true).await.unwrap();
        let mut devices = found.map(|found| found.devices).unwrap_or_default();
        devices.sort_by_key(|device| device.registered_at);
        devices
    }

    /// How many rows a table has.
    async fn rows(&self, table: Table) -> usize {
        let client = aws_sdk_dynamodb::Client::new(&self.deployment.config);
        let table = self.deployment.env.table(table).unwrap();
        let items = client.scan().table_name(table).consistent_read(true).into_paginator().items().send();
        items.collect::<Result<Vec<_>, _>>().await.unwrap().len()
    }

    /// Everything that an import may write.
    async fn written(&self) -> (usize, usize) {
        (self.rows(Table::Recipients).await, self.rows(Table::Registry).await)
    }

    /// The lines of the file of refused rows.
    fn refused(&self, file: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(beside(file, ".refused.csv")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn of(file: &Path, from: Format) -> Import {
    Import {
        file: file.to_owned(),
        app: AppId::parse("demo").unwrap(),
        from,
        dry_run: false,
        concurrency: 16,
        place: Where::default(),
    }
}

/// Imported, kept, left out, refused, failed.
fn sums(counts: &Counts) -> [u64; 5] {
    let sum = |reasons: &std::collections::BTreeMap<String, u64>| reasons.values().sum();
    [counts.imported, sum(&counts.kept), sum(&counts.left_out), sum(&counts.refused), counts.failed]
}

/// A CSV of our own columns with so many devices, two of each client, and every tenth row without a token.
fn plain(rows: usize) -> String {
    let row = |n: usize| match n % 10 {
        9 => format!("client-{},,android,device-{n}\n", n / 2),
        _ => format!("client-{},token-{n},android,device-{n}\n", n / 2),
    };
    ["client,token,platform,device\n".to_owned()].into_iter().chain((0..rows).map(row)).collect()
}
