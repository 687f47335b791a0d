//! Keys that change: the next one is announced inside sessions, and takes over when it is used.

use std::sync::{Arc, PoisonError};

use serde_json::json;

use crate::{
    model::peer::PublicKey,
    node::{
        Error,
        accept::line,
        identity::KeyFolder,
        message::Body,
        net::Net,
        payload::{Handshake, Rotate},
        session::Reason,
    },
};

/// Notes what a peer says of itself at the begin of a session. A session under an announced key
/// proves that the peer has it: it takes over.
pub(crate) async fn meet(
    net: &Arc<Net>,
    key: PublicKey,
    handshake: Handshake,
) -> Result<(), Reason> {
    let failed = |error: &Error| {
        tracing::error!(%error, "cannot write down a peer");
        Reason::ShuttingDown
    };
    let old = {
        let book = net.book();
        match book.get(&key) {
            Some(_) => None,
            None => Some(book.announced(&key).ok_or(Reason::Revoked)?.row.key),
        }
    };
    if let Some(old) = old {
        take_over(net, old, key).await.map_err(|error| failed(&error))?;
    }
    let row = net.book().get(&key).ok_or(Reason::Revoked)?.row.clone();
    let mut new = row.clone();
    new.name = line(&handshake.name);
    new.role = handshake.role;
    new.version = Some(line(&handshake.version));
    let is_free = |next: &PublicKey| next != &net.identity.public && net.book().get(next).is_none();
    new.next_key = handshake.next_key.filter(is_free);
    // A role that commands is agreed on when pairing: nobody promotes himself.
    if handshake.role.commands() && !row.role.commands() {
        new.rights = crate::model::rights::Rights::default();
    }
    if new != row {
        net.put_peer(new).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Puts the announced key `new` of a peer in the place of `old`.
pub(crate) async fn take_over(net: &Arc<Net>, old: PublicKey, new: PublicKey) -> Result<(), Error> {
    let Some(mut row) = net.book().get(&old).map(|known| known.row.clone()) else {
        return Err(Error::NoPeer(old.id().to_string()));
    };
    row.key = new;
    row.next_key = None;
    net.store.replace_peer(old, row.clone()).await?;
    let dials = {
        let mut book = net.book();
        book.remove(&old, Reason::Rotated);
        book.put(row.clone());
        row.dial && row.address.is_some()
    };
    tracing::info!(old = %old.id(), new = %new.id(), "a peer has a new key");
    let (old_id, new_id) = (old.id(), new.id());
    let history = net.miners.history();
    if let Err(error) = history.rename_elsewhere(old_id.as_str(), new_id.as_str()).await {
        tracing::warn!(%error, "the past of a node stays under its old id");
    }
    let who = format!("peer {}", new.id());
    let action = format!("new key instead of {}", old.id());
    net.audit(who, String::new(), action, "done".to_owned()).await;
    net.publish("peer.rotated", &new, json!({ "old": old.id() }));
    if dials {
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
    let Some(mut row) = net.book().get(key).map(|known| known.row.clone()) else {
        return Err(Error::NoPeer(key.id().to_string()));
    };
    if net.book().get(&next).is_some() || next == net.identity.public {
        return Err(Error::Invalid("this key belongs to another node".to_owned()));
    }
    row.next_key = Some(next);
    net.put_peer(row).await
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
