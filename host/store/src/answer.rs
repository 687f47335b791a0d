//! Table `answer`: commands of peers that were begun or carried out, so that none is twice.

use rusqlite::{OptionalExtension, params};

use crate::{Error, Store};
use adit_model::peer::PublicKey;

/// Answers kept for each peer; the oldest go first.
const KEPT: i64 = 1_024;

/// What is known of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It was never seen, and is noted as begun now.
    New,
    /// It was begun before and never finished.
    Unfinished,
    /// It was answered with this.
    Answered(String),
}

impl Store {
    /// Notes that the command `id` of `peer` begins, unless it is known.
    ///
    /// # Errors
    /// When the database cannot be written; the command must not be carried out then.
    pub async fn begin_command(&self, peer: PublicKey, id: String) -> Result<Begun, Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let known: Option<Option<String>> = transaction
                .query_row(
                    "SELECT answer FROM answer WHERE peer = ?1 AND id = ?2",
                    params![peer.as_bytes(), id],
                    |row| row.get(0),
                )
                .optional()?;
            match known {
                Some(Some(answer)) => return Ok(Begun::Answered(answer)),
                Some(None) => return Ok(Begun::Unfinished),
                None => {}
            }
            transaction.execute(
                "INSERT INTO answer (peer, id) VALUES (?1, ?2)",
                params![peer.as_bytes(), id],
            )?;
            transaction.execute(
                "DELETE FROM answer WHERE n IN
                    (SELECT n FROM answer WHERE peer = ?1 ORDER BY n DESC LIMIT -1 OFFSET ?2)",
                params![peer.as_bytes(), KEPT],
            )?;
            transaction.commit()?;
            Ok(Begun::New)
        })
        .await
    }

    /// Notes the answer to a command.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn finish_command(
        &self,
        peer: PublicKey,
        id: String,
        answer: String,
    ) -> Result<(), Error> {
        self.call(move |connection| {
            connection.execute(
                "UPDATE answer SET answer = ?3 WHERE peer = ?1 AND id = ?2",
                params![peer.as_bytes(), id, answer],
            )?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_is_new_once_and_for_its_sender_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adit.db");
        let (store, _) = Store::open(path.clone()).unwrap();
        let (one, two) = (PublicKey::new([1; 32]), PublicKey::new([2; 32]));
        let begin = |store: Store, peer| async move {
            store.begin_command(peer, "a".to_owned()).await.unwrap()
        };
        assert_eq!(begin(store.clone(), one).await, Begun::New);
        assert_eq!(begin(store.clone(), one).await, Begun::Unfinished);
        assert_eq!(begin(store.clone(), two).await, Begun::New);
        store.finish_command(one, "a".to_owned(), "{}".to_owned()).await.unwrap();
        drop(store);
        let (store, _) = Store::open(path).unwrap();
        assert_eq!(begin(store.clone(), one).await, Begun::Answered("{}".to_owned()));
        assert_eq!(begin(store, two).await, Begun::Unfinished);
    }

    #[tokio::test]
    async fn only_the_last_answers_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        let key = PublicKey::new([1; 32]);
        for n in 0..KEPT + 2 {
            store.begin_command(key, n.to_string()).await.unwrap();
        }
        assert_eq!(store.begin_command(key, "1".to_owned()).await.unwrap(), Begun::New);
        assert_eq!(store.begin_command(key, "9".to_owned()).await.unwrap(), Begun::Unfinished);
    }
}
