//! Table `peer`: the nodes that this node knows.

use rusqlite::{Connection, Row, params};

use crate::{Error, Store};
use adit_model::{
    peer::{NodeRole, PublicKey},
    rights::Rights,
};

/// A node that this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Who it is.
    pub key: PublicKey,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// What it may do here.
    pub rights: Rights,
    /// For commands to many at once.
    pub tags: Vec<String>,
    /// Where to dial it; absent: it dials.
    pub address: Option<String>,
    /// Whether to keep a connection to its address.
    pub dial: bool,
    /// Unix milliseconds.
    pub added_at_ms: i64,
    /// Unix milliseconds.
    pub last_seen_at_ms: Option<i64>,
    /// A key that it announced and that will take over.
    pub next_key: Option<PublicKey>,
    /// Version of its program.
    pub version: Option<String>,
    /// The invite that it joined with.
    pub invite: Option<InviteId>,
}

/// Which invite.
pub type InviteId = [u8; 8];

/// Columns of a peer that change; the others keep their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerUpdate {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub role: Option<NodeRole>,
    /// What it may do here.
    pub rights: Option<Rights>,
    /// For commands to many at once.
    pub tags: Option<Vec<String>>,
    /// Where to dial it, or that it dials.
    pub address: Option<Option<String>>,
    /// Whether to keep a connection to its address.
    pub dial: Option<bool>,
    /// When it was last seen, in Unix milliseconds.
    pub last_seen_at_ms: Option<i64>,
    /// The key that it announced, or that it announced none.
    pub next_key: Option<Option<PublicKey>>,
    /// Version of its program.
    pub version: Option<String>,
    /// The invite that it joined with.
    pub invite: Option<InviteId>,
}

impl PeerUpdate {
    /// Changes `row` as the database does.
    pub fn apply(self, row: &mut PeerRow) {
        let Self {
            name,
            role,
            rights,
            tags,
            address,
            dial,
            last_seen_at_ms,
            next_key,
            version,
            invite,
        } = self;
        row.name = name.unwrap_or_else(|| std::mem::take(&mut row.name));
        row.role = role.unwrap_or(row.role);
        row.rights = rights.unwrap_or(row.rights);
        row.tags = tags.unwrap_or_else(|| std::mem::take(&mut row.tags));
        row.address = address.unwrap_or_else(|| row.address.take());
        row.dial = dial.unwrap_or(row.dial);
        row.last_seen_at_ms = last_seen_at_ms.or(row.last_seen_at_ms);
        row.next_key = next_key.unwrap_or(row.next_key);
        row.version = version.or_else(|| row.version.take());
        row.invite = invite.or(row.invite);
    }

    /// Whether `row` has all of it already.
    pub fn changes_nothing(&self, row: &PeerRow) -> bool {
        let mut after = row.clone();
        self.clone().apply(&mut after);
        after == *row
    }
}

impl Store {
    /// All peers. A row that cannot be read is left out and told to the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn peers(&self) -> Result<Vec<PeerRow>, Error> {
        self.call(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, name, role, rights, tags, address, dial, added_at_ms,
                        last_seen_at_ms, next_key, version, invite
                 FROM peer",
            )?;
            let mut rows = statement.query([])?;
            let mut peers = Vec::new();
            while let Some(row) = rows.next()? {
                match read(row) {
                    Ok(peer) => peers.push(peer),
                    Err(error) => tracing::error!(%error, "cannot read a peer in the database"),
                }
            }
            Ok(peers)
        })
        .await
    }

    /// Adds a peer that was paired, in the place of what the database had under its key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_peer(&self, row: PeerRow) -> Result<(), Error> {
        self.call(move |connection| Ok(add(connection, &row)?)).await
    }

    /// Changes columns of a peer. `false`: there is none, and none is added.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn update_peer(&self, key: PublicKey, update: PeerUpdate) -> Result<bool, Error> {
        self.call(move |connection| Ok(self::update(connection, &key, &update)?)).await
    }

    /// Gives the peer with the key `old` the key `new`, which it has announced, with the answers
    /// that are kept for it. `false`: there is no such peer that announced it.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was.
    pub async fn rename_peer(&self, old: PublicKey, new: PublicKey) -> Result<bool, Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let renamed = transaction.execute(
                "UPDATE peer SET key = ?2, next_key = NULL WHERE key = ?1 AND next_key = ?2",
                [old.as_bytes(), new.as_bytes()],
            )?;
            if renamed == 1 {
                transaction.execute(
                    "UPDATE OR REPLACE answer SET peer = ?2 WHERE peer = ?1",
                    [old.as_bytes(), new.as_bytes()],
                )?;
            }
            transaction.commit()?;
            Ok(renamed == 1)
        })
        .await
    }

    /// Deletes a peer, what it was answered, and what is left of the invite that it joined with:
    /// it knows that secret. `false`: there is none.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was.
    pub async fn remove_peer(&self, key: PublicKey) -> Result<bool, Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                "DELETE FROM invite WHERE id = (SELECT invite FROM peer WHERE key = ?1)",
                [key.as_bytes()],
            )?;
            let removed =
                transaction.execute("DELETE FROM peer WHERE key = ?1", [key.as_bytes()])?;
            transaction.execute("DELETE FROM answer WHERE peer = ?1", [key.as_bytes()])?;
            transaction.commit()?;
            Ok(removed == 1)
        })
        .await
    }

    /// Writes down when peers were last seen, all in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn touch_peers(&self, seen: Vec<(PublicKey, i64)>) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for (key, at_ms) in seen {
                transaction
                    .prepare_cached("UPDATE peer SET last_seen_at_ms = ?2 WHERE key = ?1")?
                    .execute(params![key.as_bytes(), at_ms])?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }
}

pub(super) fn add(connection: &Connection, row: &PeerRow) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO peer (key, name, role, rights, tags, address, dial, added_at_ms,
                                      last_seen_at_ms, next_key, version, invite)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            row.key.as_bytes(),
            row.name,
            row.role.as_str(),
            json(&row.rights),
            json(&row.tags),
            row.address,
            row.dial,
            row.added_at_ms,
            row.last_seen_at_ms,
            row.next_key.as_ref().map(PublicKey::as_bytes),
            row.version,
            row.invite
        ],
    )?;
    Ok(())
}

/// `NULL` keeps a column, except where another parameter says that it is to be `NULL`.
pub(super) fn update(
    connection: &Connection,
    key: &PublicKey,
    update: &PeerUpdate,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE peer SET
            name = coalesce(?2, name),
            role = coalesce(?3, role),
            rights = coalesce(?4, rights),
            tags = coalesce(?5, tags),
            address = CASE WHEN ?6 THEN ?7 ELSE address END,
            dial = coalesce(?8, dial),
            last_seen_at_ms = coalesce(?9, last_seen_at_ms),
            next_key = CASE WHEN ?10 THEN ?11 ELSE next_key END,
            version = coalesce(?12, version),
            invite = coalesce(?13, invite)
         WHERE key = ?1",
    )?;
    let next_key = update.next_key.as_ref();
    let changed = statement.execute(params![
        key.as_bytes(),
        update.name,
        update.role.map(NodeRole::as_str),
        update.rights.as_ref().map(json),
        update.tags.as_ref().map(json),
        update.address.is_some(),
        update.address.clone().flatten(),
        update.dial,
        update.last_seen_at_ms,
        next_key.is_some(),
        next_key.and_then(|key| key.as_ref().map(PublicKey::as_bytes)),
        update.version,
        update.invite
    ])?;
    Ok(changed == 1)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn read(row: &Row<'_>) -> rusqlite::Result<PeerRow> {
    let role: String = row.get(2)?;
    let json = |column: usize| -> rusqlite::Result<String> { row.get(column) };
    Ok(PeerRow {
        key: PublicKey::new(row.get(0)?),
        name: row.get(1)?,
        role: role.parse().map_err(|error| unreadable(2, error))?,
        rights: serde_json::from_str(&json(3)?).map_err(|error| unreadable(3, error))?,
        tags: serde_json::from_str(&json(4)?).map_err(|error| unreadable(4, error))?,
        address: row.get(5)?,
        dial: row.get(6)?,
        added_at_ms: row.get(7)?,
        last_seen_at_ms: row.get(8)?,
        next_key: row.get::<_, Option<[u8; 32]>>(9)?.map(PublicKey::new),
        version: row.get(10)?,
        invite: row.get(11)?,
    })
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    let kind = rusqlite::types::Type::Text;
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn peer(byte: u8) -> PeerRow {
        PeerRow {
            key: PublicKey::new([byte; 32]),
            name: "rig".to_owned(),
            role: NodeRole::Worker,
            rights: Rights::of_new_controller(),
            tags: vec!["cellar".to_owned()],
            address: Some("192.0.2.7:9091".to_owned()),
            dial: true,
            added_at_ms: 1,
            last_seen_at_ms: None,
            next_key: None,
            version: Some("0.1.0".to_owned()),
            invite: None,
        }
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn peers_are_kept_seen_renamed_and_removed() {
        let (_folder, store) = store().await;
        store.add_peer(peer(1)).await.unwrap();
        store.touch_peers(vec![(peer(1).key, 5)]).await.unwrap();
        let seen = PeerRow { last_seen_at_ms: Some(5), ..peer(1) };
        assert_eq!(store.peers().await.unwrap(), [seen]);
        assert!(!store.rename_peer(peer(1).key, peer(2).key).await.unwrap(), "never announced");
        let announced = PeerUpdate { next_key: Some(Some(peer(2).key)), ..PeerUpdate::default() };
        assert!(store.update_peer(peer(1).key, announced).await.unwrap());
        assert!(store.rename_peer(peer(1).key, peer(2).key).await.unwrap());
        let renamed = PeerRow { last_seen_at_ms: Some(5), ..peer(2) };
        assert_eq!(store.peers().await.unwrap(), [renamed]);
        assert!(store.remove_peer(peer(2).key).await.unwrap());
        assert!(!store.remove_peer(peer(2).key).await.unwrap());
    }

    #[tokio::test]
    async fn an_update_changes_its_columns_as_in_memory_and_adds_no_peer() {
        let (_folder, store) = store().await;
        let mut row = peer(1);
        store.add_peer(row.clone()).await.unwrap();
        let none = PeerUpdate::default;
        for update in [
            none(),
            PeerUpdate { name: Some("other".to_owned()), ..none() },
            PeerUpdate { role: Some(NodeRole::Dual), ..none() },
            PeerUpdate { rights: Some(Rights::default()), ..none() },
            PeerUpdate { tags: Some(Vec::new()), ..none() },
            PeerUpdate { address: Some(None), dial: Some(false), ..none() },
            PeerUpdate { address: Some(Some("[::1]:9091".to_owned())), ..none() },
            PeerUpdate { dial: Some(true), last_seen_at_ms: Some(9), ..none() },
            PeerUpdate { next_key: Some(Some(peer(9).key)), ..none() },
            PeerUpdate { next_key: Some(None), version: Some("2".to_owned()), ..none() },
            PeerUpdate { invite: Some([7; 8]), ..none() },
        ] {
            assert!(store.update_peer(row.key, update.clone()).await.unwrap());
            assert_eq!(update.changes_nothing(&row), update == none());
            update.apply(&mut row);
            assert_eq!(store.peers().await.unwrap(), [row.clone()]);
        }
        store.remove_peer(row.key).await.unwrap();
        let all = PeerUpdate { rights: Some(row.rights), ..none() };
        assert!(!store.update_peer(row.key, all).await.unwrap());
        assert!(store.peers().await.unwrap().is_empty());
    }
}
