//! Hands the listener of a runner's filter over to the host, ahead of all frames.
//!
//! The runner sends one byte, with the descriptor attached if there is one. The driver must never
//! hold it: who has it may let any call through.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sends what the host waits for, and closes the listener here.
pub(crate) fn send(socket: impl AsFd, listener: Option<OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener.as_ref().map(AsFd::as_fd)];
    let descriptors: Vec<_> = descriptors.into_iter().flatten().collect();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    drop(listener);
    Ok(())
}

/// Receives what a runner sends first. `None` without a listener, or when the runner is gone.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("the host has no descriptor left for it"));
    }
    let mut received = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(received.next())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_descriptor_arrives_or_none_does() {
        let (here, there) = UnixStream::pair().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "text").unwrap();
        send(&here, Some(File::open(file.path()).unwrap().into())).unwrap();
        send(&here, None).unwrap();
        let mut text = String::new();
        File::from(receive(&there).unwrap().unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(receive(&there).unwrap().is_none());
        drop(here);
        assert!(receive(&there).unwrap().is_none());
    }
}
