//! The keeper's socket: who may speak, and in which bounds. No client can make the keeper wait.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
};

use crate::{
    files, proc,
    protocol::{LONGEST_REQUEST, Reply, Request},
    sys,
};

/// Most clients at a time; one more pushes out the one that was silent longest.
const MOST_CLIENTS: usize = 16;

/// Most bytes of replies that wait for a client to read them.
const MOST_UNREAD: usize = 64 << 10;

/// What to tell the client.
pub(crate) enum Answer {
    /// This, now.
    Now(Box<Reply>),
    /// How the run ended, once it has.
    AtEnd,
}

/// The socket and its clients.
pub(crate) struct Server {
    listener: UnixListener,
    /// Device and inode of the socket's file.
    place: (u64, u64),
    clients: Vec<Client>,
    turn: u64,
}

struct Client {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    is_waiting: bool,
    is_done: bool,
    last_turn: u64,
}

impl Server {
    /// Listens in the current directory, on a name relative to it: the length of a socket's path
    /// is limited to 108 bytes.
    pub(crate) fn listen() -> io::Result<Self> {
        remove_if_there(files::SOCKET)?;
        let listener = UnixListener::bind(files::SOCKET)?;
        fs::set_permissions(files::SOCKET, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let place = place_of_socket().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { listener, place, clients: Vec::new(), turn: 0 })
    }

    /// Puts a new socket there when somebody deleted or replaced the file: without it no host can
    /// reach this keeper. Clients stay connected.
    pub(crate) fn keep_socket(&mut self) {
        if place_of_socket() != Some(self.place)
            && let Ok(Self { listener, place, .. }) = Self::listen()
        {
            (self.listener, self.place) = (listener, place);
        }
    }

    /// Where new clients come from, for polling.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The clients, for polling, and whether something waits to be written to them.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        self.clients.iter().map(|client| (client.stream.as_fd(), !client.outbox.is_empty()))
    }

    /// Lets in whoever knocks and may.
    pub(crate) fn accept(&mut self) {
        let own = rustix::process::geteuid().as_raw();
        while let Ok((stream, _)) = self.listener.accept() {
            let peer = sys::peer_uid(stream.as_fd());
            if !peer.is_ok_and(|peer| may_speak(peer, own)) || stream.set_nonblocking(true).is_err()
            {
                continue;
            }
            if self.clients.len() >= MOST_CLIENTS {
                self.push_out();
            }
            self.turn += 1;
            self.clients.push(Client {
                stream,
                inbox: Vec::new(),
                outbox: Vec::new(),
                is_waiting: false,
                is_done: false,
                last_turn: self.turn,
            });
        }
    }

    fn push_out(&mut self) {
        let oldest = self.clients.iter().enumerate();
        let oldest = oldest.min_by_key(|(_, client)| (client.is_waiting, client.last_turn));
        if let Some((index, _)) = oldest {
            self.clients.swap_remove(index);
        }
    }

    /// Reads the requests of the clients marked in `is_ready`, in the order of
    /// [`Server::clients`], and writes the answers.
    pub(crate) fn serve(&mut self, is_ready: &[bool], mut answer: impl FnMut(Request) -> Answer) {
        self.turn += 1;
        for (client, _) in self.clients.iter_mut().zip(is_ready).filter(|(_, ready)| **ready) {
            client.last_turn = self.turn;
            client.read(&mut answer);
            client.write();
        }
        self.clients.retain(|client| !client.is_done);
    }

    /// Tells all clients that wait for the end. What they don't read at once is lost to them; the
    /// exit record is not.
    pub(crate) fn tell_end(&mut self, reply: &Reply) {
        for client in self.clients.iter_mut().filter(|client| client.is_waiting) {
            client.is_waiting = false;
            client.push(reply);
            client.write();
        }
    }

    /// Stops listening and takes the socket out of the folder.
    pub(crate) fn close(self) {
        if place_of_socket() == Some(self.place) {
            remove_if_there(files::SOCKET).ok();
        }
    }
}

impl Client {
    fn read(&mut self, answer: &mut impl FnMut(Request) -> Answer) {
        let mut buffer = [0; 4096];
        // Not until nothing comes any more: one busy client must not keep the others waiting.
        for _ in 0..16 {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.is_done = true;
                    return;
                }
                Ok(count) => self.take(&buffer[..count], answer),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_done |= error.kind() != io::ErrorKind::WouldBlock;
                    return;
                }
            }
            if self.is_done || self.outbox.len() > MOST_UNREAD {
                return;
            }
        }
    }

    fn take(&mut self, bytes: &[u8], answer: &mut impl FnMut(Request) -> Answer) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.inbox.len() + piece.len() > LONGEST_REQUEST {
                self.push(&Reply::failed("a request may have 64 KiB"));
                self.write();
                self.is_done = true;
                return;
            }
            self.inbox.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.inbox);
                match serde_json::from_slice(&line).map(&mut *answer) {
                    Ok(Answer::Now(reply)) => self.push(&reply),
                    Ok(Answer::AtEnd) => self.is_waiting = true,
                    Err(error) => self.push(&Reply::failed(format!("not understood: {error}"))),
                }
            }
        }
    }

    fn push(&mut self, reply: &Reply) {
        // A reply is made of texts and numbers, which always serialize.
        if serde_json::to_writer(&mut self.outbox, reply).is_ok() {
            self.outbox.push(b'\n');
        }
    }

    fn write(&mut self) {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(count) if count > 0 => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                _ => {
                    self.is_done = true;
                    break;
                }
            }
        }
        self.is_done |= self.outbox.len() > MOST_UNREAD;
        if self.outbox.is_empty() {
            self.outbox = Vec::new();
        }
    }
}

fn place_of_socket() -> Option<(u64, u64)> {
    fs::symlink_metadata(files::SOCKET).ok().map(|metadata| proc::inode(&metadata))
}

fn may_speak(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

/// Removes a file of the current directory; it may be missing.
pub(crate) fn remove_if_there(name: &str) -> io::Result<()> {
    match fs::remove_file(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_may_speak() {
        assert!(may_speak(0, 1000) && may_speak(1000, 1000) && may_speak(0, 0));
        assert!(!may_speak(1001, 1000) && !may_speak(1000, 0));
    }
}
