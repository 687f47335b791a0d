//! Table `peer`: the nodes that this node knows.

use rusqlite::{Connection, Row, params};

use crate::{
    model::{
        peer::{NodeRole, PublicKey},
        rights::Rights,
    },
    store::{Error, Store},
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
                        last_seen_at_ms, next_key, version
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

    /// Writes a peer, new or changed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_peer(&self, row: PeerRow) -> Result<(), Error> {
        self.call(move |connection| Ok(put(connection, &row)?)).await
    }

    /// Puts `row` in the place of the peer with the key `old`.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was.
    pub async fn replace_peer(&self, old: PublicKey, row: PeerRow) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM peer WHERE key = ?1", [old.as_bytes()])?;
            transaction.execute(
                "UPDATE OR REPLACE answer SET peer = ?2 WHERE peer = ?1",
                [old.as_bytes(), row.key.as_bytes()],
            )?;
            put(&transaction, &row)?;
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Forgets a peer and what it was answered. `false`: there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_peer(&self, key: PublicKey) -> Result<bool, Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
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

pub(super) fn put(connection: &Connection, row: &PeerRow) -> rusqlite::Result<()> {
    let rights = serde_json::to_string(&row.rights).unwrap_or_default();
    let tags = serde_json::to_string(&row.tags).unwrap_or_default();
    connection.execute(
        "INSERT INTO peer (key, name, role, rights, tags, address, dial, added_at_ms,
                           last_seen_at_ms, next_key, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (key) DO UPDATE SET
            name = excluded.name, role = excluded.role, rights = excluded.rights,
            tags = excluded.tags, address = excluded.address, dial = excluded.dial,
            last_seen_at_ms = excluded.last_seen_at_ms, next_key = excluded.next_key,
            version = excluded.version",
        params![
            row.key.as_bytes(),
            row.name,
            row.role.as_str(),
            rights,
            tags,
            row.address,
            row.dial,
            row.added_at_ms,
            row.last_seen_at_ms,
            row.next_key.as_ref().map(PublicKey::as_bytes),
            row.version
        ],
    )?;
    Ok(())
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
        }
    }

    #[tokio::test]
    async fn peers_are_kept_seen_replaced_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        store.put_peer(peer(1)).await.unwrap();
        store.touch_peers(vec![(peer(1).key, 5)]).await.unwrap();
        let seen = PeerRow { last_seen_at_ms: Some(5), ..peer(1) };
        assert_eq!(store.peers().await.unwrap(), [seen]);
        let changed = PeerRow { next_key: Some(PublicKey::new([9; 32])), ..peer(1) };
        store.put_peer(changed.clone()).await.unwrap();
        assert_eq!(store.peers().await.unwrap(), [changed]);
        store.replace_peer(peer(1).key, peer(2)).await.unwrap();
        assert_eq!(store.peers().await.unwrap(), [peer(2)]);
        assert!(store.remove_peer(peer(2).key).await.unwrap());
        assert!(!store.remove_peer(peer(2).key).await.unwrap());
    }
}
