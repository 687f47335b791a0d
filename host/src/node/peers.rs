//! The peers of this node: the only place that changes what is known of one, in the database and
//! in memory.
//!
//! A change of a row takes three steps: look at the row as it is now, write its columns, take the
//! same columns up in memory. [`PeerTable::alone`] keeps others away from the first step to the
//! last, and finishes them when the caller has gone. What must hold:
//!
//! - Only pairing ([`PeerTable::pair`], [`PeerTable::join`]) adds a row. Everything else updates
//!   columns of a row that is there, in the database too, so no handshake, rotation or change that
//!   is under way brings a removed peer back, or a right that was taken away.
//! - A removal closes the door first: the peer is gone from memory, and its session has ended,
//!   before the database is asked. A change that finds its peer gone when it has written gives up,
//!   and the removal that waits behind it deletes what it wrote.
//! - The table outlives the connections of the node ([`super::net::Net`]), which begin anew with
//!   each key: a removal has not two lists to go through.
//!
//! Tests: `node/tests/revoked.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::node::{Error, book::Book, session::Reason};
use adit_model::{
    peer::{NodeId, PublicKey},
    rights::Rights,
};
use adit_store::{Joined, PeerRow, PeerUpdate, Store};

/// All peers, and their rows in the database.
pub(crate) struct PeerTable {
    store: Store,
    /// Locked for moments, never across an await.
    book: Mutex<Book>,
    /// Removed peers that the database still has, because it could not be written.
    undeleted: Mutex<HashMap<NodeId, PublicKey>>,
    /// Held from the look at a row to its change in memory.
    writing: tokio::sync::Mutex<()>,
}

impl PeerTable {
    /// The peers of the database.
    pub(crate) async fn read(store: Store) -> Result<Arc<Self>, Error> {
        let book = Mutex::new(Book::new(store.peers().await?));
        let (undeleted, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { store, book, undeleted, writing }))
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undeleted(&self) -> MutexGuard<'_, HashMap<NodeId, PublicKey>> {
        self.undeleted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` while nothing else changes a row, to its end even when the caller is dropped:
    /// half a change would leave memory and database apart.
    async fn alone<T, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (table, work) = (Arc::clone(self), work(Arc::clone(self)));
        let doing = tokio::spawn(async move {
            let _alone = table.writing.lock().await;
            work.await
        });
        doing.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// Changes what `decide` says of the peer with `key`, as it is then, also when it has another
    /// key by then. Returns its new row.
    ///
    /// # Errors
    /// [`Error::NoPeer`], what `decide` says, or when it cannot be written.
    pub(crate) async fn update(
        self: &Arc<Self>,
        key: PublicKey,
        decide: impl FnOnce(&Book, &PeerRow) -> Result<PeerUpdate, Error> + Send + 'static,
    ) -> Result<PeerRow, Error> {
        self.alone(move |table| async move {
            let gone = || Error::NoPeer(key.id().to_string());
            let (key, update) = {
                let book = table.book();
                let row = &book.get(&book.current(key)).ok_or_else(gone)?.row;
                (row.key, decide(&book, row)?)
            };
            if !table.store.update_peer(key, update.clone()).await? {
                return Err(gone());
            }
            // Gone when it was removed meanwhile; then it stays so.
            let mut book = table.book();
            let row = &mut book.get_mut(&key).ok_or_else(gone)?.row;
            update.apply(row);
            Ok(row.clone())
        })
        .await
    }

    /// Takes rights away from a peer at once, before anything is written down.
    pub(crate) fn narrow(&self, key: &PublicKey, rights: Rights) {
        let mut book = self.book();
        let key = book.current(*key);
        if let Some(known) = book.get_mut(&key) {
            known.row.rights = known.row.rights.iter().filter(|right| rights.has(*right)).collect();
        }
    }

    /// Uses an invite up for the peer `new`. One that is known keeps its rights, tags and address.
    /// Returns its row; `None`: the invite is not good any more.
    ///
    /// # Errors
    /// [`Error::NoPeer`] when it was removed meanwhile, or when it cannot be written.
    pub(crate) async fn pair(
        self: &Arc<Self>,
        invite: [u8; 8],
        now_ms: i64,
        new: PeerRow,
    ) -> Result<Option<PeerRow>, Error> {
        self.alone(move |table| async move {
            let key = new.key;
            let new = PeerRow { invite: Some(invite), ..new };
            let is_known = table.book().get(&key).is_some();
            let update = PeerUpdate {
                name: Some(new.name.clone()),
                role: Some(new.role),
                last_seen_at_ms: new.last_seen_at_ms,
                next_key: Some(new.next_key.filter(|next| table.book().is_free(&key, next))),
                version: new.version.clone(),
                invite: new.invite,
                ..PeerUpdate::default()
            };
            let new = PeerRow { next_key: update.next_key.flatten(), ..new };
            let joined = match is_known {
                true => Joined::Known(key, Box::new(update.clone())),
                false => Joined::New(Box::new(new.clone())),
            };
            if !table.store.consume_invite(invite, now_ms, joined).await? {
                return Ok(None);
            }
            table.take_up(is_known, new, update).map(Some)
        })
        .await
    }

    /// Writes down the node `new`, whose invite this node uses. One that is known keeps its rights
    /// and tags. Returns whether it was not known.
    ///
    /// # Errors
    /// [`Error::NoPeer`] when it was removed meanwhile, or when it cannot be written.
    pub(crate) async fn join(self: &Arc<Self>, new: PeerRow) -> Result<bool, Error> {
        self.alone(move |table| async move {
            let is_known = table.book().get(&new.key).is_some();
            let update = PeerUpdate {
                name: Some(new.name.clone()),
                role: Some(new.role),
                address: Some(new.address.clone()),
                dial: Some(new.dial),
                last_seen_at_ms: new.last_seen_at_ms,
                next_key: Some(new.next_key),
                ..PeerUpdate::default()
            };
            if !is_known {
                table.store.add_peer(new.clone()).await?;
            } else if !table.store.update_peer(new.key, update.clone()).await? {
                return Err(Error::NoPeer(new.key.id().to_string()));
            }
            table.take_up(is_known, new, update)?;
            Ok(!is_known)
        })
        .await
    }

    /// A peer that was paired, in memory.
    fn take_up(&self, was_known: bool, new: PeerRow, update: PeerUpdate) -> Result<PeerRow, Error> {
        let mut book = self.book();
        match book.get_mut(&new.key) {
            Some(known) => {
                update.apply(&mut known.row);
                Ok(known.row.clone())
            }
            // Its removal waits until this is done.
            None if was_known => Err(Error::NoPeer(new.key.id().to_string())),
            None => {
                self.undeleted().remove(&new.key.id());
                book.insert(new.clone());
                Ok(new)
            }
        }
    }

    /// Puts the key `new`, which the peer with the key `old` has announced, in its place. Returns
    /// the new row.
    ///
    /// # Errors
    /// [`Error::NoPeer`] when there is no such peer, it announced another key, or was removed
    /// meanwhile; or when it cannot be written.
    pub(crate) async fn rename(
        self: &Arc<Self>,
        old: PublicKey,
        new: PublicKey,
    ) -> Result<PeerRow, Error> {
        self.alone(move |table| async move {
            let gone = || Error::NoPeer(old.id().to_string());
            let may = {
                let book = table.book();
                let announced = book.get(&old).and_then(|known| known.row.next_key);
                announced == Some(new) && book.get(&new).is_none()
            };
            if !may || !table.store.rename_peer(old, new).await? {
                return Err(gone());
            }
            let renamed = table.book().rename(&old, new);
            match renamed {
                Some(row) => Ok(row),
                None => {
                    // Removed while it was written: its removal knows the old key only.
                    table.delete(new).await?;
                    Err(gone())
                }
            }
        })
        .await
    }

    /// Deletes a peer. Its session ends at once, whatever becomes of the database. `false`: there
    /// is none.
    ///
    /// # Errors
    /// When the database cannot be written; it is tried again later, or when asked for again.
    pub(crate) async fn remove(self: &Arc<Self>, key: PublicKey) -> Result<bool, Error> {
        let (_, was_known) = self.close(key);
        self.alone(move |table| async move {
            // What was paired, or took over with another key, in between goes with it.
            let (now, _) = table.close(key);
            if now != key {
                table.delete(now).await?;
            }
            Ok(table.delete(key).await? || was_known)
        })
        .await
    }

    /// Takes the peer with `key`, or the one that it has now, out of memory. Returns that key, and
    /// whether there was one.
    fn close(&self, key: PublicKey) -> (PublicKey, bool) {
        let mut book = self.book();
        let key = book.current(key);
        (key, book.remove(&key, Reason::Revoked))
    }

    /// Deletes a peer that never confirmed that it was paired.
    pub(crate) async fn discard(self: &Arc<Self>, key: PublicKey) -> Result<(), Error> {
        self.alone(move |table| async move {
            let is_new = table.book().get(&key).is_some_and(|known| known.row.version.is_none());
            if is_new {
                table.book().remove(&key, Reason::Revoked);
                table.delete(key).await?;
            }
            Ok(())
        })
        .await
    }

    async fn delete(&self, key: PublicKey) -> Result<bool, Error> {
        self.undeleted().insert(key.id(), key);
        let deleted = self.store.remove_peer(key).await?;
        self.undeleted().remove(&key.id());
        Ok(deleted)
    }

    /// The key of a removed peer that the database still has.
    pub(crate) fn undeleted_key(&self, id: &NodeId) -> Option<PublicKey> {
        self.undeleted().get(id).copied()
    }

    /// Writes down when peers were last seen, and tries again to delete what could not be deleted.
    pub(crate) async fn write_seen(self: &Arc<Self>) {
        let undeleted: Vec<PublicKey> = self.undeleted().values().copied().collect();
        for key in undeleted {
            let again = self.alone(move |table| async move {
                // It may have been paired again meanwhile.
                if table.undeleted_key(&key.id()).is_some() {
                    table.delete(key).await?;
                }
                Ok(())
            });
            if let Err(error) = again.await {
                tracing::warn!(peer = %key.id(), %error, "a removed peer is still in the database");
            }
        }
        let seen = self.book().take_unwritten();
        if seen.is_empty() {
            return;
        }
        if let Err(error) = self.store.touch_peers(seen).await {
            tracing::warn!(%error, "cannot write down when peers were last seen");
        }
    }
}

#[cfg(test)]
mod tests;
