//! Changes that run into each other: each order is forced, by a database that waits.

use super::*;
use adit_model::{peer::NodeRole, rights::Right};
use adit_store::InviteRow;

const INVITE: [u8; 8] = [9; 8];

fn key(byte: u8) -> PublicKey {
    PublicKey::new([byte; 32])
}

fn row(byte: u8) -> PeerRow {
    PeerRow {
        key: key(byte),
        name: "rig".to_owned(),
        role: NodeRole::Controller,
        rights: Right::ALL.into_iter().collect(),
        tags: Vec::new(),
        address: Some("192.0.2.7:9091".to_owned()),
        dial: false,
        added_at_ms: 1,
        last_seen_at_ms: None,
        next_key: Some(key(100)),
        version: Some("1".to_owned()),
        invite: None,
    }
}

struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
    table: Arc<PeerTable>,
}

impl Fixture {
    /// A table with the peer `row(1)`, and an invite for several.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        let invite = InviteRow {
            id: INVITE,
            psk: [0; 32],
            uses: 100,
            expires_at_ms: i64::MAX,
            tags: Vec::new(),
        };
        store.add_invite(invite, 0).await.unwrap();
        store.add_peer(row(1)).await.unwrap();
        let table = PeerTable::read(store.clone()).await.unwrap();
        Self { _folder: folder, store, table }
    }

    /// What memory and database agree on.
    async fn rows(&self) -> Vec<PeerRow> {
        let mut there = self.store.peers().await.unwrap();
        let mut here: Vec<PeerRow> = self.table.book().all().map(|it| it.row.clone()).collect();
        there.sort_by_key(|row| *row.key.as_bytes());
        here.sort_by_key(|row| *row.key.as_bytes());
        assert_eq!(here, there, "memory and database");
        here
    }

    /// Begins `first` and, when that waits for the database, `second`; returns when both are done.
    async fn interleave(&self, first: Change, second: Change) {
        let held = self.store.hold().await;
        let doing = tokio::spawn(first.make(&self.table));
        while self.table.writing.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        let then = tokio::spawn(second.make(&self.table));
        // Until it has done all that needs no database.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(held);
        doing.await.unwrap();
        then.await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Remove,
    Forbid,
    Meet,
    Announce,
    Rename,
    Tag,
    Dial,
    PairAgain,
    JoinAgain,
}

const CHANGES: [Change; 7] = [
    Change::Meet,
    Change::Announce,
    Change::Rename,
    Change::Tag,
    Change::Dial,
    Change::PairAgain,
    Change::JoinAgain,
];

impl Change {
    fn update(self) -> PeerUpdate {
        let none = PeerUpdate::default();
        match self {
            Self::Forbid => PeerUpdate { rights: Some(Rights::default()), ..none },
            Self::Meet => PeerUpdate { version: Some("2".to_owned()), ..none },
            Self::Announce => PeerUpdate { next_key: Some(Some(key(101))), ..none },
            Self::Tag => PeerUpdate { tags: Some(vec!["cellar".to_owned()]), ..none },
            _ => PeerUpdate { dial: Some(true), ..none },
        }
    }

    /// What happens to the peer `row(1)`; it may fail when the peer is gone.
    fn make(self, table: &Arc<PeerTable>) -> impl Future<Output = ()> + Send + 'static {
        let table = Arc::clone(table);
        async move {
            match self {
                Self::Remove => assert!(table.remove(key(1)).await.unwrap()),
                Self::Rename => drop(table.rename(key(1), key(100)).await),
                Self::PairAgain => drop(table.pair(INVITE, 1, row(1)).await),
                Self::JoinAgain => drop(table.join(row(1)).await),
                _ => {
                    if self == Self::Forbid {
                        table.narrow(&key(1), Rights::default());
                    }
                    drop(table.update(key(1), move |_, _| Ok(self.update())).await);
                }
            }
        }
    }
}

#[tokio::test]
async fn nothing_that_is_under_way_brings_a_removed_peer_back() {
    for change in CHANGES {
        let fixture = Fixture::new().await;
        fixture.interleave(change, Change::Remove).await;
        assert_eq!(fixture.rows().await, [], "{change:?}, then the removal");
        let fixture = Fixture::new().await;
        fixture.interleave(Change::Remove, change).await;
        let is_pairing = matches!(change, Change::PairAgain | Change::JoinAgain);
        assert_eq!(fixture.rows().await.len(), usize::from(is_pairing), "{change:?}, after it");
    }
}

#[tokio::test]
async fn nothing_that_is_under_way_gives_a_right_back_or_is_lost() {
    for change in CHANGES {
        for first in [true, false] {
            let fixture = Fixture::new().await;
            match first {
                true => fixture.interleave(change, Change::Forbid).await,
                false => fixture.interleave(Change::Forbid, change).await,
            }
            let rows = fixture.rows().await;
            let [row] = rows.as_slice() else { panic!("{change:?}: {rows:?}") };
            assert!(row.rights.is_empty(), "{change:?} {first}: {row:?}");
            match change {
                Change::Rename => assert_eq!(row.key, key(100)),
                Change::PairAgain => assert_eq!(row.invite, Some(INVITE)),
                Change::JoinAgain => assert_eq!(row.tags, Vec::<String>::new()),
                _ => assert!(change.update().changes_nothing(row), "{change:?}: {row:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_changes_at_once_leave_memory_and_database_as_one() {
    for round in 0..30 {
        let fixture = Fixture::new().await;
        let mut changing = tokio::task::JoinSet::new();
        for n in 0..40 {
            let change = CHANGES[(n * 5 + round) % 5];
            changing.spawn(change.make(&fixture.table));
            if n == 20 {
                changing.spawn(Change::Forbid.make(&fixture.table));
            }
            if n == 30 && round % 2 == 0 {
                changing.spawn(Change::Remove.make(&fixture.table));
            }
        }
        changing.join_all().await;
        let rows = fixture.rows().await;
        assert_eq!(rows.len(), round % 2, "{rows:?}");
        assert!(rows.iter().all(|row| row.rights.is_empty()), "{rows:?}");
    }
}

#[tokio::test]
async fn a_removal_that_cannot_be_written_closes_the_door_and_is_made_up_for() {
    let fixture = Fixture::new().await;
    let Fixture { store, table, .. } = &fixture;
    store.refuse_writes(true).await;
    assert!(table.remove(key(1)).await.is_err());
    assert!(table.book().get(&key(1)).is_none());
    assert_eq!(table.undeleted_key(&key(1).id()), Some(key(1)));
    store.refuse_writes(false).await;
    table.write_seen().await;
    assert_eq!(fixture.rows().await, []);
    // What was paired again meanwhile is not what was removed.
    store.add_peer(row(2)).await.unwrap();
    let table = PeerTable::read(store.clone()).await.unwrap();
    store.refuse_writes(true).await;
    assert!(table.remove(key(2)).await.is_err());
    store.refuse_writes(false).await;
    assert!(table.pair(INVITE, 1, row(2)).await.unwrap().is_some());
    table.write_seen().await;
    assert_eq!(store.peers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_announced_key_is_nobody_elses() {
    let fixture = Fixture::new().await;
    let table = &fixture.table;
    let (one, two) = (key(1), key(2));
    table.join(PeerRow { next_key: None, ..row(2) }).await.unwrap();
    let is_free = |owner: &PublicKey, next: &PublicKey| table.book().is_free(owner, next);
    assert!(is_free(&one, &key(100)) && is_free(&two, &key(102)));
    assert!(!is_free(&two, &key(100)), "the other one announced it");
    assert!(!is_free(&one, &two) && !is_free(&one, &one));
    let taken = PeerRow { next_key: Some(key(100)), ..row(3) };
    let paired = table.pair(INVITE, 1, taken).await.unwrap().unwrap();
    assert_eq!(paired.next_key, None);
}

#[tokio::test]
async fn a_key_that_two_machines_used_stays_barred_under_the_next_one() {
    let fixture = Fixture::new().await;
    fixture.table.book().get_mut(&key(1)).unwrap().cloned = true;
    fixture.table.rename(key(1), key(100)).await.unwrap();
    assert!(fixture.table.book().get(&key(100)).unwrap().cloned);
}
