//! Tickets: how a web page opens a stream. A browser sends no header of the page's own with
//! `EventSource` and `WebSocket`, and a token in an address would stay in histories and logs.
//!
//! A ticket opens one stream, once, within half a minute, for whoever asked for it with a token.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Extension, Json, extract::State};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::api::{Api, access::Caller};

/// How long a ticket can be used.
pub(super) const LASTS: Duration = Duration::from_secs(30);
/// Tickets kept; the oldest gives way.
const KEPT: usize = 10_000;

/// Tickets that nobody used yet. Looked up by hash, so that the time tells nothing of them.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<[u8; 32], (Caller, Instant)>>);

impl Tickets {
    /// A ticket for `caller`.
    fn issue(&self, caller: Caller) -> String {
        let ticket = crate::miners::random_token();
        let now = Instant::now();
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= KEPT {
            tickets.retain(|_, (_, made)| now.duration_since(*made) < LASTS);
        }
        if tickets.len() >= KEPT {
            let oldest = tickets.iter().min_by_key(|(_, (_, made))| *made).map(|(key, _)| *key);
            oldest.and_then(|key| tickets.remove(&key));
        }
        tickets.insert(hash(&ticket), (caller, now));
        ticket
    }

    /// Who asked for `ticket`; it is used up.
    pub(crate) fn redeem(&self, ticket: &str) -> Option<Caller> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, made) = tickets.remove(&hash(ticket))?;
        (made.elapsed() < LASTS).then_some(caller)
    }
}

fn hash(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket.as_bytes()).into()
}

/// A new ticket, on its way to the client.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issued {
    ticket: String,
    expires_in_s: u64,
}

pub(crate) async fn issue(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Json<Issued> {
    let ticket = api.0.streams.tickets.issue(caller);
    Json(Issued { ticket, expires_in_s: LASTS.as_secs() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::access::Holder;
    use adit_model::access::Role;

    fn caller(name: &str) -> Caller {
        let holder = Holder::Token(name.to_owned());
        Caller { name: name.to_owned(), role: Role::View, holder }
    }

    #[test]
    fn a_ticket_opens_once_and_for_its_owner() {
        let tickets = Tickets::default();
        let (one, two) = (tickets.issue(caller("a")), tickets.issue(caller("b")));
        assert_eq!(tickets.redeem(&two), Some(caller("b")));
        assert_eq!(tickets.redeem(&two), None);
        assert_eq!(tickets.redeem("guess"), None);
        assert_eq!(tickets.redeem(&one), Some(caller("a")));
    }

    #[test]
    fn old_tickets_are_worth_nothing_and_give_way() {
        let tickets = Tickets::default();
        let old = Instant::now() - LASTS;
        tickets.0.lock().unwrap().insert(hash("old"), (caller("a"), old));
        assert_eq!(tickets.redeem("old"), None);
        for n in 0..KEPT {
            tickets.0.lock().unwrap().insert(hash(&n.to_string()), (caller("a"), Instant::now()));
        }
        let last = tickets.issue(caller("b"));
        assert_eq!(tickets.0.lock().unwrap().len(), KEPT);
        assert_eq!(tickets.redeem(&last), Some(caller("b")));
    }
}
