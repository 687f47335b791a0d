//! Tokens: who calls, and what they may do.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    model::access::Role,
    store::{self, Store, TokenRow},
};

/// What the audit log calls whoever holds the token of the file.
pub(crate) const FILE_TOKEN: &str = "token-file";
/// What the audit log calls whoever has no token.
pub(crate) const NOBODY: &str = "nobody";

/// Failed logins of one address before it has to wait.
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
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Access {
    /// The token of the file, which is an admin's, and those of the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn new(store: Store, file_token: &str) -> Result<Self, store::Error> {
        let rows = Mutex::new(store.tokens().await?);
        Ok(Self { store, file_hash: hash(file_token), rows, failures: Mutex::default() })
    }

    /// Looks up the caller with `token` from `address`.
    pub(crate) fn identify(&self, token: Option<&str>, address: IpAddr) -> Result<Caller, Refusal> {
        let Some(token) = token else { return Err(Refusal::NoToken) };
        if self.is_barred(address) {
            return Err(Refusal::TooManyFailures);
        }
        let given = hash(token);
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let mut found = None;
        // Every hash is compared, so that the time tells nothing.
        if bool::from(given.ct_eq(&self.file_hash)) {
            found = Some(Caller { name: FILE_TOKEN.to_owned(), role: Role::Admin });
        }
        for row in lock(&self.rows).iter() {
            let lasts = row.expires_at_ms.is_none_or(|at| now_ms < at);
            if bool::from(given.ct_eq(&row.hash)) && lasts {
                found = Some(Caller { name: row.name.clone(), role: row.role });
            }
        }
        found.ok_or_else(|| {
            self.count_failure(address);
            Refusal::WrongToken
        })
    }

    /// Whether the token of `caller`, who was identified before, is still valid.
    pub(crate) fn knows(&self, caller: &Caller) -> bool {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let lasts = |row: &TokenRow| row.expires_at_ms.is_none_or(|at| now_ms < at);
        let rows = lock(&self.rows);
        caller.name == FILE_TOKEN
            || rows
                .iter()
                .any(|row| row.name == caller.name && row.role >= caller.role && lasts(row))
    }

    fn is_barred(&self, address: IpAddr) -> bool {
        lock(&self.failures)
            .get(&address)
            .is_some_and(|(count, since)| *count >= FAILURES && since.elapsed() < WINDOW)
    }

    fn count_failure(&self, address: IpAddr) {
        let mut failures = lock(&self.failures);
        if failures.len() >= ADDRESSES {
            failures.clear();
        }
        let (count, since) = failures.entry(address).or_insert((0, Instant::now()));
        if since.elapsed() >= WINDOW {
            (*count, *since) = (0, Instant::now());
        }
        *count += 1;
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
    ) -> Result<Option<(TokenView, String)>, store::Error> {
        let secret = crate::miners::random_token();
        let row = TokenRow {
            id: uuid::Uuid::new_v4().to_string(),
            name,
            role,
            hash: hash(&secret),
            created_at_ms: jiff::Timestamp::now().as_millisecond(),
            expires_at_ms,
        };
        if !self.store.add_token(row.clone()).await? {
            return Ok(None);
        }
        self.reload().await?;
        Ok(Some((view(&row), secret)))
    }

    /// Removes a token by id or name; `false`: there is none.
    pub(crate) async fn remove(&self, id_or_name: &str) -> Result<bool, store::Error> {
        let removed = self.store.remove_token(id_or_name).await?;
        self.reload().await?;
        Ok(removed)
    }

    async fn reload(&self) -> Result<(), store::Error> {
        let rows = self.store.tokens().await?;
        *lock(&self.rows) = rows;
        Ok(())
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
    async fn guessing_is_slowed_down_for_the_guesser_only() {
        let (access, _folder) = access().await;
        for _ in 0..FAILURES {
            assert_eq!(access.identify(Some("guess"), HERE), Err(Refusal::WrongToken));
        }
        assert_eq!(access.identify(Some("the-file-token"), HERE), Err(Refusal::TooManyFailures));
        let elsewhere = IpAddr::from([127, 0, 0, 2]);
        assert!(access.identify(Some("the-file-token"), elsewhere).is_ok());
        assert_eq!(access.identify(None, elsewhere), Err(Refusal::NoToken));
    }
}
