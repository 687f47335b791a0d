//! Tokens: who calls, and what they may do.

use std::{
    collections::HashMap,
    future::pending,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::node::limits::network;
use adit_model::access::Role;
use adit_store::{Store, TokenRow};

/// What the audit log calls whoever holds the token of the file.
pub(crate) const FILE_TOKEN: &str = "token-file";
/// What the audit log calls whoever has no token.
pub(crate) const NOBODY: &str = "nobody";

/// Failed logins of one address before failing ones are answered by 429.
const FAILURES: u32 = 10;
/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered; more are forgotten all at once.
const ADDRESSES: usize = 10_000;

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) holder: Holder,
}

/// What a caller showed. A name is no proof: another token may have it later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Nothing.
    Nobody,
    /// The token of the file.
    File,
    /// The token with this id.
    Token(String),
}

impl Caller {
    /// Somebody without a token.
    pub(crate) fn nobody() -> Self {
        Self { name: NOBODY.to_owned(), role: Role::View, holder: Holder::Nobody }
    }
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoToken,
    WrongToken,
    TooManyFailures,
}

/// All tokens that are valid now.
pub struct Access {
    store: Store,
    file_hash: [u8; 32],
    rows: Mutex<Vec<TokenRow>>,
    /// Held while a token is created or removed, in the database and in `rows`.
    changing: tokio::sync::Mutex<()>,
    /// Wakes those whose token may be gone.
    removals: watch::Sender<()>,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Access {
    /// The token of the file, which is an admin's, and those of the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn new(store: Store, file_token: &str) -> Result<Self, adit_store::Error> {
        let rows = Mutex::new(store.tokens().await?);
        Ok(Self {
            store,
            file_hash: hash(file_token),
            rows,
            changing: tokio::sync::Mutex::default(),
            removals: watch::Sender::new(()),
            failures: Mutex::default(),
        })
    }

    /// Finds the caller with `token` from `address`. A valid token always passes: only the answers
    /// to wrong ones are limited, so that nobody locks others out of an address that they share. No
    /// limit is needed against guessing 256 random bits.
    pub(crate) fn identify(&self, token: Option<&str>, address: IpAddr) -> Result<Caller, Refusal> {
        let given = token.ok_or(Refusal::NoToken)?;
        self.find(given).ok_or_else(|| self.count_failure(address))
    }

    /// The same where failures do not count: other programs ask there, with tokens that are not
    /// meant for this host.
    pub(crate) fn identify_uncounted(&self, token: Option<&str>) -> Result<Caller, Refusal> {
        self.find(token.ok_or(Refusal::NoToken)?).ok_or(Refusal::WrongToken)
    }

    fn find(&self, token: &str) -> Option<Caller> {
        let given = hash(token);
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let mut found = None;
        // Every hash is compared, so that the time tells nothing.
        if bool::from(given.ct_eq(&self.file_hash)) {
            let (name, holder) = (FILE_TOKEN.to_owned(), Holder::File);
            found = Some(Caller { name, role: Role::Admin, holder });
        }
        for row in lock(&self.rows).iter() {
            let lasts = row.expires_at_ms.is_none_or(|at| now_ms < at);
            if bool::from(given.ct_eq(&row.hash)) && lasts {
                let holder = Holder::Token(row.id.clone());
                found = Some(Caller { name: row.name.clone(), role: row.role, holder });
            }
        }
        found
    }

    /// Whether the token of `caller`, who was identified before, is still valid.
    pub(crate) fn knows(&self, caller: &Caller) -> bool {
        self.lasts(caller).is_some()
    }

    /// Waits until the token of `caller` is not valid any more. Safe to drop.
    pub(crate) async fn revoked(&self, caller: &Caller) {
        let mut removals = self.removals.subscribe();
        while let Some(left) = self.lasts(caller) {
            let expired = async {
                match left {
                    Some(left) => tokio::time::sleep(left).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as this does.
                _ = removals.changed() => {}
                () = expired => {}
            }
        }
    }

    /// How long the token of `caller` is still valid, if it is; `Some(None)`: as long as it is not
    /// removed.
    fn lasts(&self, caller: &Caller) -> Option<Option<Duration>> {
        let id = match &caller.holder {
            Holder::Nobody => return None,
            Holder::File => return Some(None),
            Holder::Token(id) => id,
        };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let rows = lock(&self.rows);
        let row = rows.iter().find(|row| row.id == *id && row.role >= caller.role)?;
        let Some(expires_at_ms) = row.expires_at_ms else { return Some(None) };
        let left_ms = u64::try_from(expires_at_ms - now_ms).ok().filter(|left| *left > 0)?;
        Some(Some(Duration::from_millis(left_ms)))
    }

    /// Counts a wrong token of `address`, and returns how it is answered.
    fn count_failure(&self, address: IpAddr) -> Refusal {
        let mut failures = lock(&self.failures);
        if failures.len() >= ADDRESSES {
            failures.clear();
        }
        let new = || (0, Instant::now());
        let (count, since) = failures.entry(network(address)).or_insert_with(new);
        if since.elapsed() >= WINDOW {
            (*count, *since) = new();
        }
        *count = count.saturating_add(1);
        if *count > FAILURES { Refusal::TooManyFailures } else { Refusal::WrongToken }
    }

    pub(crate) fn list(&self) -> Vec<TokenView> {
        lock(&self.rows).iter().map(view).collect()
    }

    /// Makes a token; `None`: the name is taken. The secret is returned this once.
    pub(crate) async fn create(
        &self,
        name: String,
        role: Role,
        expires_at_ms: Option<i64>,
    ) -> Result<Option<(TokenView, String)>, adit_store::Error> {
        let secret = crate::miners::random_token();
        let row = TokenRow {
            id: uuid::Uuid::new_v4().to_string(),
            name,
            role,
            hash: hash(&secret),
            created_at_ms: jiff::Timestamp::now().as_millisecond(),
            expires_at_ms,
        };
        let _alone = self.changing.lock().await;
        if !self.store.add_token(row.clone()).await? {
            return Ok(None);
        }
        let created = view(&row);
        let mut rows = lock(&self.rows);
        rows.push(row);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some((created, secret)))
    }

    /// Removes a token by id or name; `false`: there is none. It is useless before it is deleted,
    /// and stays so when the database cannot be written.
    pub(crate) async fn remove(&self, id_or_name: &str) -> Result<bool, adit_store::Error> {
        let _alone = self.changing.lock().await;
        let id = {
            let mut rows = lock(&self.rows);
            let by_id = rows.iter().find(|row| row.id == id_or_name);
            let found = by_id.or_else(|| rows.iter().find(|row| row.name == id_or_name));
            let id = found.map_or_else(|| id_or_name.to_owned(), |row| row.id.clone());
            rows.retain(|row| row.id != id);
            id
        };
        self.removals.send_replace(());
        self.store.remove_token(&id).await
    }
}

fn view(row: &TokenRow) -> TokenView {
    TokenView {
        id: row.id.clone(),
        name: row.name.clone(),
        role: row.role,
        created_at_ms: row.created_at_ms,
        expires_at_ms: row.expires_at_ms,
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    async fn access() -> (Access, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        (Access::new(store, "the-file-token").await.unwrap(), folder)
    }

    #[tokio::test]
    async fn tokens_open_until_they_expire_or_are_removed() {
        let (access, _folder) = access().await;
        assert_eq!(access.identify(Some("the-file-token"), HERE).unwrap().role, Role::Admin);
        let (view, secret) =
            access.create("dash".to_owned(), Role::View, None).await.unwrap().unwrap();
        assert_eq!(access.identify(Some(&secret), HERE).unwrap().role, Role::View);
        assert_eq!(access.create("dash".to_owned(), Role::Admin, None).await.unwrap(), None);
        let (_, expired) =
            access.create("old".to_owned(), Role::Admin, Some(1)).await.unwrap().unwrap();
        assert_eq!(access.identify(Some(&expired), HERE), Err(Refusal::WrongToken));
        assert!(access.remove(&view.id).await.unwrap());
        assert_eq!(access.identify(Some(&secret), HERE), Err(Refusal::WrongToken));
    }

    #[tokio::test]
    async fn wrong_tokens_are_limited_and_right_ones_always_pass() {
        let (access, _folder) = access().await;
        for _ in 0..FAILURES {
            assert_eq!(access.identify(Some("guess"), HERE), Err(Refusal::WrongToken));
        }
        assert_eq!(access.identify(Some("guess"), HERE), Err(Refusal::TooManyFailures));
        assert!(access.identify(Some("the-file-token"), HERE).is_ok());
        assert_eq!(access.identify(Some("guess"), HERE), Err(Refusal::TooManyFailures));
        let elsewhere = IpAddr::from([127, 0, 0, 2]);
        assert_eq!(access.identify(Some("guess"), elsewhere), Err(Refusal::WrongToken));
        assert_eq!(access.identify(None, HERE), Err(Refusal::NoToken));
        for _ in 0..100 {
            assert_eq!(access.identify_uncounted(Some("guess")), Err(Refusal::WrongToken));
        }
        assert_eq!(access.identify(Some("guess"), elsewhere), Err(Refusal::WrongToken));
    }

    #[tokio::test]
    async fn a_removed_token_is_not_revived_by_another_of_its_name() {
        let (access, _folder) = access().await;
        let create = || access.create("dash".to_owned(), Role::View, None);
        let (old, secret) = create().await.unwrap().unwrap();
        let caller = access.identify(Some(&secret), HERE).unwrap();
        let revoked = access.revoked(&caller);
        assert!(access.remove("dash").await.unwrap());
        let (new, _) = create().await.unwrap().unwrap();
        assert_ne!(old.id, new.id);
        assert!(!access.knows(&caller));
        // Asked before or after, it is over.
        tokio::time::timeout(Duration::from_secs(60), revoked).await.unwrap();
        assert!(!access.remove(&old.id).await.unwrap());
        assert_eq!(access.list(), [new]);
    }

    #[tokio::test]
    async fn a_token_is_over_when_it_is_removed_or_expires_without_a_poll() {
        let (access, _folder) = access().await;
        let soon = jiff::Timestamp::now().as_millisecond() + 300;
        let access = std::sync::Arc::new(access);
        let mut ends = tokio::task::JoinSet::new();
        for (name, expires) in [("short", Some(soon)), ("long", None)] {
            let (_, secret) =
                access.create(name.to_owned(), Role::View, expires).await.unwrap().unwrap();
            let caller = access.identify(Some(&secret), HERE).unwrap();
            let access = std::sync::Arc::clone(&access);
            ends.spawn(async move { access.revoked(&caller).await });
        }
        let limit = Duration::from_secs(60);
        assert!(tokio::time::timeout(limit, ends.join_next()).await.unwrap().is_some());
        assert_eq!(ends.len(), 1);
        access.remove("long").await.unwrap();
        assert!(tokio::time::timeout(limit, ends.join_next()).await.unwrap().is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn tokens_that_come_and_go_at_once_are_in_memory_as_in_the_database() {
        let (access, _folder) = access().await;
        let access = std::sync::Arc::new(access);
        let mut changing = tokio::task::JoinSet::new();
        for n in 0..60 {
            let access = std::sync::Arc::clone(&access);
            changing.spawn(async move {
                let name = format!("t{}", n % 6);
                let created = access.create(name.clone(), Role::View, None).await.unwrap();
                if n % 3 > 0 {
                    access.remove(&name).await.unwrap();
                }
                created.map(|(_, secret)| secret)
            });
        }
        let secrets: Vec<String> = changing.join_all().await.into_iter().flatten().collect();
        let there = access.store.tokens().await.unwrap();
        assert_eq!(*lock(&access.rows), there);
        let valid = secrets.iter().filter(|it| access.identify(Some(it), HERE).is_ok()).count();
        assert_eq!(valid, there.len());
    }

    #[tokio::test]
    async fn a_removal_that_cannot_be_written_counts_and_can_be_repeated() {
        let (access, _folder) = access().await;
        let created = access.create("dash".to_owned(), Role::Admin, None).await.unwrap();
        let (view, secret) = created.unwrap();
        access.store.refuse_writes(true).await;
        assert!(access.remove("dash").await.is_err());
        assert_eq!(access.identify(Some(&secret), HERE), Err(Refusal::WrongToken));
        access.store.refuse_writes(false).await;
        assert!(access.remove(&view.id).await.unwrap());
        assert_eq!(access.store.tokens().await.unwrap(), []);
    }
}
