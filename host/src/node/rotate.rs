//! Keys that change: the next one is announced inside sessions, and takes over when it is used.

use std::sync::{Arc, PoisonError};

use serde_json::json;

use crate::node::{
    Error,
    accept::line,
    book::Book,
    identity::KeyFolder,
    message::Body,
    net::Net,
    payload::{Handshake, Rotate},
    session::Reason,
};
use adit_model::{peer::PublicKey, rights::Rights};
use adit_store::{AuditEntry, PeerRow, PeerUpdate};

/// Notes what a peer says of itself at the begin of a session. A session under an announced key
/// proves that the peer has it: it takes over.
pub(crate) async fn meet(
    net: &Arc<Net>,
    key: PublicKey,
    handshake: Handshake,
) -> Result<(), Reason> {
    let failed = |error: Error| match error {
        // Removed meanwhile.
        Error::NoPeer(_) => Reason::Revoked,
        error => {
            tracing::error!(%error, "cannot write down a peer");
            Reason::ShuttingDown
        }
    };
    let old = {
        let book = net.book();
        match book.get(&key) {
            Some(_) => None,
            None => Some(book.announced(&key).ok_or(Reason::Revoked)?.row.key),
        }
    };
    if let Some(old) = old {
        take_over(net, old, key).await.map_err(failed)?;
    }
    let own = net.identity.public;
    let told = move |book: &Book, row: &PeerRow| {
        let is_free = |next: &PublicKey| *next != own && book.is_free(&row.key, next);
        // A role that commands is agreed on when pairing: nobody promotes himself.
        let promotes_itself = handshake.role.commands() && !row.role.commands();
        PeerUpdate {
            name: Some(line(&handshake.name)),
            role: Some(handshake.role),
            rights: promotes_itself.then(Rights::default),
            next_key: Some(handshake.next_key.filter(is_free)),
            version: Some(line(&handshake.version)),
            ..PeerUpdate::default()
        }
    };
    {
        // Most sessions change nothing, and thousands begin at once after a restart.
        let book = net.book();
        let row = &book.get(&key).ok_or(Reason::Revoked)?.row;
        if told(&book, row).changes_nothing(row) {
            return Ok(());
        }
    }
    let updated = net.peers.update(key, move |book, row| Ok(told(book, row))).await;
    updated.map(drop).map_err(failed)
}

/// Puts the announced key `new` of a peer in the place of `old`.
pub(crate) async fn take_over(net: &Arc<Net>, old: PublicKey, new: PublicKey) -> Result<(), Error> {
    let row = net.peers.rename(old, new).await?;
    tracing::info!(old = %old.id(), new = %new.id(), "a peer has a new key");
    let (old_id, new_id) = (old.id(), new.id());
    let history = net.miners.history();
    if let Err(error) = history.rename_elsewhere(old_id.as_str(), new_id.as_str()).await {
        tracing::warn!(%error, "the past of a node stays under its old id");
    }
    net.audit(AuditEntry {
        who: format!("peer {}", new.id()),
        action: format!("new key instead of {}", old.id()),
        outcome: "done".to_owned(),
        ..AuditEntry::default()
    })
    .await;
    net.publish("peer.rotated", &new, json!({ "old": old.id() }));
    if row.dial && row.address.is_some() {
        crate::node::dial::keep(net, new);
    }
    Ok(())
}

/// Notes a key that a peer announces for itself.
pub(crate) async fn announced(
    net: &Arc<Net>,
    key: &PublicKey,
    next: PublicKey,
) -> Result<(), Error> {
    let own = net.identity.public;
    let told = move |book: &Book, row: &PeerRow| {
        if next == own || !book.is_free(&row.key, &next) {
            return Err(Error::Invalid("this key belongs to another node".to_owned()));
        }
        Ok(PeerUpdate { next_key: Some(Some(next)), ..PeerUpdate::default() })
    };
    net.peers.update(*key, told).await.map(drop)
}

/// Makes the key that will take over; from now on every session announces it.
pub(crate) fn prepare(net: &Net, keys: &KeyFolder) -> Result<PublicKey, Error> {
    let next = keys.make_next_key()?.public();
    *net.next_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    Ok(next)
}

/// Tells all connected peers about the announced key; the others hear of it when they connect.
pub(crate) async fn announce(net: &Arc<Net>) {
    let Some(next_key) = net.announced_key() else { return };
    let connected: Vec<PublicKey> = {
        let book = net.book();
        let all = book.all().filter(|known| known.session.is_some());
        all.map(|known| known.row.key).collect()
    };
    let mut telling = tokio::task::JoinSet::new();
    for key in connected {
        let net = Arc::clone(net);
        telling.spawn(async move {
            let told = net.ask(&key, Body::Rotate(Rotate { next_key }), None).await;
            if let Err(error) = told {
                tracing::warn!(peer = %key.id(), %error, "a peer did not take the new key");
            }
        });
    }
    telling.join_all().await;
}
