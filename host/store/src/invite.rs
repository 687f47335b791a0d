//! Table `invite`: who may join, once.

use rusqlite::{OptionalExtension, params};

use crate::{Error, PeerRow, PeerUpdate, Store, peer};

/// Invites that may wait at once; the oldest go first.
const KEPT: i64 = 1_000;

/// An invite that was given out.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// Which one.
    pub id: [u8; 8],
    /// What the other node proves to know.
    pub psk: [u8; 32],
    /// How many more nodes may join with it.
    pub uses: u32,
    /// Unix milliseconds.
    pub expires_at_ms: i64,
    /// Tags of whoever joins.
    pub tags: Vec<String>,
}

impl Store {
    /// Adds an invite, and forgets those that have expired at `now_ms`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_invite(&self, row: InviteRow, now_ms: i64) -> Result<(), Error> {
        self.call(move |connection| {
            let tags = serde_json::to_string(&row.tags).unwrap_or_default();
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM invite WHERE expires_at_ms <= ?1", [now_ms])?;
            transaction.execute(
                "DELETE FROM invite WHERE id IN
                    (SELECT id FROM invite ORDER BY expires_at_ms DESC LIMIT -1 OFFSET ?1)",
                [KEPT - 1],
            )?;
            transaction.execute(
                "INSERT INTO invite (id, psk, uses, expires_at_ms, tags)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![row.id, row.psk, row.uses, row.expires_at_ms, tags],
            )?;
            Ok(transaction.commit()?)
        })
        .await
    }

    /// The invite `id`, if it can still be used at `now_ms`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn invite(&self, id: [u8; 8], now_ms: i64) -> Result<Option<InviteRow>, Error> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT psk, uses, expires_at_ms, tags FROM invite
                 WHERE id = ?1 AND uses > 0 AND expires_at_ms > ?2",
            )?;
            let found = statement.query_row(params![id, now_ms], |row| {
                let tags: String = row.get(3)?;
                Ok(InviteRow {
                    id,
                    psk: row.get(0)?,
                    uses: row.get(1)?,
                    expires_at_ms: row.get(2)?,
                    tags: serde_json::from_str(&tags).unwrap_or_default(),
                })
            });
            Ok(found.optional()?)
        })
        .await
    }

    /// Takes one use of an invite and writes down the peer that it was used by: both or nothing.
    /// `false`: it is used up or has expired, or `joined` is a change of a peer that is no more;
    /// nothing was written.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was.
    pub async fn consume_invite(
        &self,
        id: [u8; 8],
        now_ms: i64,
        joined: Joined,
    ) -> Result<bool, Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let taken = transaction.execute(
                "UPDATE invite SET uses = uses - 1
                 WHERE id = ?1 AND uses > 0 AND expires_at_ms > ?2",
                params![id, now_ms],
            )?;
            if taken != 1 {
                return Ok(false);
            }
            transaction.execute("DELETE FROM invite WHERE id = ?1 AND uses = 0", [id])?;
            match &joined {
                Joined::New(row) => peer::add(&transaction, row)?,
                Joined::Known(key, update) => {
                    if !peer::update(&transaction, key, update)? {
                        return Ok(false);
                    }
                }
            }
            transaction.commit()?;
            Ok(true)
        })
        .await
    }
}

/// The peer that used an invite.
#[derive(Clone, Debug)]
pub enum Joined {
    /// One that was not known.
    New(Box<PeerRow>),
    /// One that is known, with what changes of it.
    Known(adit_model::peer::PublicKey, Box<PeerUpdate>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::tests::peer;

    fn invite(uses: u32) -> InviteRow {
        InviteRow { id: [1; 8], psk: [2; 32], uses, expires_at_ms: 100, tags: Vec::new() }
    }

    fn new(byte: u8) -> Joined {
        Joined::New(Box::new(PeerRow { invite: Some([1; 8]), ..peer(byte) }))
    }

    #[tokio::test]
    async fn what_is_left_of_an_invite_goes_with_a_peer_that_used_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        store.add_invite(invite(3), 0).await.unwrap();
        assert!(store.consume_invite([1; 8], 0, new(1)).await.unwrap());
        assert!(store.remove_peer(peer(1).key).await.unwrap());
        assert!(!store.consume_invite([1; 8], 0, new(1)).await.unwrap());
        // A known peer that is gone takes no use.
        store.add_invite(invite(1), 0).await.unwrap();
        let known = Joined::Known(peer(1).key, Box::default());
        assert!(!store.consume_invite([1; 8], 0, known).await.unwrap());
        assert!(store.invite([1; 8], 0).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_invite_is_used_once_however_many_try() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        store.add_invite(invite(1), 0).await.unwrap();
        let mut racing = tokio::task::JoinSet::new();
        for n in 0..8 {
            let store = store.clone();
            racing.spawn(async move { store.consume_invite([1; 8], 50, new(n)).await.unwrap() });
        }
        let won = racing.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!((won, store.peers().await.unwrap().len()), (1, 1));
        assert!(store.invite([1; 8], 0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_invite_expires_and_may_be_for_several() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        store.add_invite(invite(2), 0).await.unwrap();
        assert!(store.invite([1; 8], 99).await.unwrap().is_some());
        assert!(store.invite([1; 8], 100).await.unwrap().is_none());
        assert!(store.invite([2; 8], 0).await.unwrap().is_none());
        assert!(!store.consume_invite([1; 8], 100, new(1)).await.unwrap());
        assert!(store.consume_invite([1; 8], 0, new(1)).await.unwrap());
        assert!(store.consume_invite([1; 8], 0, new(2)).await.unwrap());
        assert!(!store.consume_invite([1; 8], 0, new(3)).await.unwrap());
        assert_eq!(store.peers().await.unwrap().len(), 2);
    }
}
