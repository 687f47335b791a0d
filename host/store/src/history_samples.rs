//! Samples of the history one by one, for other nodes; and names that change.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::{Error, HistoryReader, Read, Source, Store, history_read::each};
use adit_model::history::{Metric, reading::Reading, thin::Range};

impl HistoryReader {
    /// The first `most` samples in `range`, by time in Unix milliseconds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn samples(
        &self,
        sources: Vec<(Metric, Vec<Source>)>,
        range: Range,
        most: usize,
    ) -> Result<Read<BTreeMap<i64, Reading>>, Error> {
        self.read(move |connection| {
            let mut all = Read { answer: BTreeMap::<i64, Reading>::new(), damaged: 0 };
            for (metric, sources) in sources {
                let samples = &mut all.answer;
                let mut add = |at_ms: i64, code| {
                    if (range.since_ms..range.until_ms).contains(&at_ms) {
                        let reading = samples.entry(at_ms).or_default();
                        reading.0[usize::from(metric.number())] = Some(code);
                    }
                };
                all.damaged += each(connection, &sources, metric, range, &mut add)?;
            }
            if let Some(after) = all.answer.keys().nth(most).copied() {
                all.answer.split_off(&after);
            }
            Ok(all)
        })
        .await
    }
}

impl Store {
    /// Gives series new names, all or none. Where a name is taken, the series keeps its old one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn rename_series(&self, names: Vec<(u32, String)>) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for (id, name) in &names {
                transaction.execute(
                    "UPDATE OR IGNORE series SET name = ?2 WHERE id = ?1",
                    params![id, name],
                )?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }
}
