//! Inviting, joining, and what becomes of peers.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::node::{
    Error, Node,
    accept::line,
    book::{Book, Known},
    dial,
    invite::{self, Invite},
    message::Body,
    net::Net,
    payload::Ping,
    session::Reason,
    view::{self, InviteView, PeerChange, PeerView},
};
use adit_model::peer::{NodeId, PublicKey};
use adit_store::{InviteRow, PeerRow, PeerUpdate};

/// Longest wait for a connection that the operator asked for.
const CONNECT: Duration = Duration::from_secs(15);
/// Most tags of a peer.
const TAGS: usize = 32;

impl Node {
    /// Makes an invite for `uses` nodes, good for `life`. Whoever joins gets `tags`.
    ///
    /// # Errors
    /// [`Error::NotListening`], [`Error::Invalid`] for an address that is none.
    pub async fn invite(
        &self,
        address: Option<String>,
        uses: u32,
        life: Duration,
        tags: Vec<String>,
    ) -> Result<InviteView, Error> {
        let net = self.net()?;
        let tags = checked_tags(tags)?;
        let listening = net.listening().address.ok_or(Error::NotListening)?;
        let address = address
            .or_else(|| net.options.advertise.clone())
            .unwrap_or_else(|| reachable(listening));
        invite::check_address(&address)?;
        let now = jiff::Timestamp::now();
        let expires_at = u32::try_from(now.as_second().saturating_add_unsigned(life.as_secs()));
        let expires_at = expires_at.map_err(|_| Error::Invalid("minutes: too many".to_owned()))?;
        let made = Invite::new(net.identity.public, address, expires_at)?;
        let row = InviteRow {
            id: made.id,
            psk: *made.psk(),
            uses,
            expires_at_ms: i64::from(expires_at) * 1_000,
            tags,
        };
        net.store.add_invite(row, now.as_millisecond()).await?;
        Ok(InviteView {
            invite: made.code().to_string(),
            expires: jiff::Timestamp::from_second(i64::from(expires_at)).unwrap_or_default(),
            uses,
            address: made.address,
            id: net.identity.id.clone(),
        })
    }

    /// Joins the node that made `code`.
    ///
    /// # Errors
    /// [`Error::Invite`] for a code that is none, [`Error::Unreachable`] with why nobody was joined.
    pub async fn join(&self, code: &str) -> Result<PeerView, Error> {
        let net = self.net()?;
        let invite: Invite = code.parse()?;
        if invite.key == net.identity.public {
            return Err(Error::Invalid("this invite is of this very node".to_owned()));
        }
        let key = dial::join(&net, &invite).await?;
        self.shown(&net, &key.id())
    }

    /// All peers, by name and id.
    ///
    /// # Errors
    /// None at present; a node without a key knows nobody.
    pub fn peers(&self) -> Vec<PeerView> {
        let Ok(net) = self.net() else { return Vec::new() };
        let mut peers: Vec<PeerView> = net.book().all().map(view::peer).collect();
        peers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        peers
    }

    /// One peer.
    ///
    /// # Errors
    /// [`Error::NoPeer`].
    pub fn peer(&self, id: &str) -> Result<PeerView, Error> {
        let net = self.net()?;
        let id = find(&net, id)?.key.id();
        self.shown(&net, &id)
    }

    fn shown(&self, net: &Net, id: &NodeId) -> Result<PeerView, Error> {
        net.book().by_id(id).map(view::peer).ok_or_else(|| Error::NoPeer(id.to_string()))
    }

    /// Changes what a peer may do, its tags or its address. What it may do counts at once.
    ///
    /// # Errors
    /// [`Error::NoPeer`], [`Error::Invalid`], or when it cannot be written down.
    pub async fn change_peer(&self, id: &str, change: PeerChange) -> Result<PeerView, Error> {
        let net = self.net()?;
        let key = find_current(&net.book(), id)?;
        let PeerChange { rights, tags, address } = change;
        let tags = tags.map(checked_tags).transpose()?;
        let address = address.map(|it| (!it.is_empty()).then_some(it));
        if let Some(Some(address)) = &address {
            invite::check_address(address)?;
        }
        if let Some(rights) = rights {
            // What is taken away is gone before it is written down.
            net.peers.narrow(&key, rights);
        }
        let dial = address.as_ref().map(Option::is_some);
        let update = PeerUpdate { rights, tags, address, dial, ..PeerUpdate::default() };
        let own = net.identity.role;
        let decided = move |_: &Book, row: &PeerRow| {
            let obeyed = own.obeys() && row.role.commands();
            if rights.is_some_and(|it| !it.is_empty()) && !obeyed {
                let told =
                    format!("rights: a node that is a {own} obeys no peer that is a {}", row.role);
                return Err(Error::Role(told));
            }
            Ok(update)
        };
        let key = net.peers.update(key, decided).await?.key;
        if dial == Some(true) {
            dial::keep(&net, key);
        }
        self.shown(&net, &key.id())
    }

    /// Deletes a peer, and what is left of the invite that it joined with. Its session ends at once
    /// and it is let in no more.
    ///
    /// # Errors
    /// [`Error::NoPeer`], or when the database cannot be written: it is cut off all the same, and
    /// deleted later.
    pub async fn remove_peer(&self, id: &str) -> Result<(), Error> {
        let inner = &self.0;
        let found = find_current(&inner.peers.book(), id);
        let key = match found {
            Ok(key) => key,
            Err(error) => {
                let undeleted = id.parse().ok().and_then(|id| inner.peers.undeleted_key(&id));
                match undeleted {
                    Some(key) => key,
                    None => return self.net().and(Err(error)),
                }
            }
        };
        inner.peers.remove(key).await?;
        inner.miners.events().publish("peer.removed", json!({ "id": key.id() }));
        Ok(())
    }

    /// The time to a peer and back, in milliseconds.
    ///
    /// # Errors
    /// [`Error::NoPeer`], [`Error::Offline`], [`Error::NoAnswer`].
    pub async fn ping(&self, id: &str) -> Result<f64, Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        let began = Instant::now();
        net.ask(&key, Body::Ping(Ping::default()), None).await?;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        let session = net.book().get(&key).and_then(|known| known.session.clone());
        if let Some(session) = session {
            session.facts().latency_ms = Some(took);
        }
        Ok(took)
    }

    /// Connects to a peer now and from now on, also one that was disconnected or whose key two
    /// machines used.
    ///
    /// # Errors
    /// [`Error::NoPeer`], [`Error::Invalid`] when it has no address to dial, [`Error::Offline`]
    /// with why it could not be reached.
    pub async fn connect(&self, id: &str) -> Result<PeerView, Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        net.book().forgive(&key);
        let mut registrations = net.registrations.subscribe();
        let is_connected = || net.book().get(&key).is_some_and(|known| known.session.is_some());
        if is_connected() {
            return self.shown(&net, &key.id());
        }
        let dialled = |_: &Book, row: &PeerRow| {
            match row.address {
            Some(_) => Ok(PeerUpdate { dial: Some(true), ..PeerUpdate::default() }),
            None => Err(Error::Invalid(
                "this node does not know an address of that peer: it dials this one, and is let in \
                 when it comes; or set an address with PUT /peers/{id}"
                    .to_owned(),
            )),
        }
        };
        net.peers.update(key, dialled).await?;
        dial::keep(&net, key);
        let deadline = Instant::now() + CONNECT;
        while !is_connected() {
            if timeout_at(deadline, registrations.changed()).await.is_err() {
                let reason = net.book().get(&key).and_then(|known| known.problem.clone());
                return Err(Error::Offline { id: key.id(), reason });
            }
        }
        self.shown(&net, &key.id())
    }

    /// Ends the session with a peer. This node does not dial it again until told to; one that
    /// dials this node may come back.
    ///
    /// # Errors
    /// [`Error::NoPeer`], or when it cannot be written down.
    pub async fn disconnect(&self, id: &str) -> Result<(), Error> {
        let net = self.net()?;
        let key = find(&net, id)?.key;
        let undialled =
            |_: &Book, _: &PeerRow| Ok(PeerUpdate { dial: Some(false), ..PeerUpdate::default() });
        net.peers.update(key, undialled).await?;
        let (session, dialler) = {
            let mut book = net.book();
            let known = book.get_mut(&key);
            known.map(|it| (it.session.clone(), it.dialler.take())).unwrap_or_default()
        };
        if let Some(dialler) = dialler {
            dialler.cancel();
        }
        if let Some(session) = session {
            session.end(Reason::Disconnected);
            // It is over when this returns.
            let gone = || net.book().get(&key).is_none_or(|known| known.session.is_none());
            for _ in 0..100 {
                if gone() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }
}

/// The peer with this id, or with this name if only one has it.
pub(crate) fn find(net: &Net, id_or_name: &str) -> Result<PeerRow, Error> {
    find_in(&net.book(), id_or_name)
}

fn find_in(book: &Book, id_or_name: &str) -> Result<PeerRow, Error> {
    if let Ok(id) = id_or_name.parse::<NodeId>() {
        let known = book.by_id(&id).ok_or_else(|| Error::NoPeer(id.to_string()))?;
        return Ok(known.row.clone());
    }
    let mut named = book.all().filter(|known: &&Known| known.row.name == id_or_name);
    match (named.next(), named.next()) {
        (Some(known), None) => Ok(known.row.clone()),
        (Some(_), Some(_)) => Err(Error::Invalid(format!(
            "several peers are called {}: write the id",
            line(id_or_name)
        ))),
        (None, _) => Err(Error::NoPeer(line(id_or_name))),
    }
}

/// The same, by an id that it had before too.
fn find_current(book: &Book, id_or_name: &str) -> Result<PublicKey, Error> {
    let before = |error| {
        let id = id_or_name.parse().ok();
        id.and_then(|id| book.successor(&id)).filter(|key| book.get(key).is_some()).ok_or(error)
    };
    find_in(book, id_or_name).map(|row| row.key).or_else(before)
}

fn checked_tags(mut tags: Vec<String>) -> Result<Vec<String>, Error> {
    tags.sort();
    tags.dedup();
    let fits = |tag: &String| {
        (1..=32).contains(&tag.len())
            && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if tags.len() > TAGS || !tags.iter().all(fits) {
        return Err(Error::Invalid(format!(
            "tags: write at most {TAGS}, each of 1 to 32 letters, digits, -, _ and ."
        )));
    }
    Ok(tags)
}

/// Where others most likely reach a node that listens on `listening`: the address that this
/// machine uses towards the internet. Nothing is sent for that.
fn reachable(listening: SocketAddr) -> String {
    if !listening.ip().is_unspecified() {
        return listening.to_string();
    }
    let towards = |from: &str, to: &str| -> Option<std::net::IpAddr> {
        let socket = std::net::UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let ip = towards("0.0.0.0:0", "192.0.2.1:9")
        .or_else(|| towards("[::]:0", "[2001:db8::1]:9"))
        .unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    SocketAddr::new(ip, listening.port()).to_string()
}
