//! The line between the helper and the one who started it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::message::Message;

/// The most descriptors of one message (`SCM_MAX_FD`, `unix(7)`).
const MOST_DESCRIPTORS: usize = 253;

/// A message that only brings more descriptors.
const AND_MORE: &[u8] = b"+";

/// The most bytes of one message.
const MAXIMUM: usize = 64 * 1024;

/// What a helper gets.
pub(crate) struct Handed {
    /// The policy, in sealed memory.
    pub(crate) policy: OwnedFd,
    /// Descriptors, with the numbers that they are to have.
    pub(crate) given: Vec<(RawFd, OwnedFd)>,
}

/// One end of a line that carries [`Message`]s, each with a descriptor or without.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// A line: the end to receive from, which does not block, and the end for the helper.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = Self::inner_pair()?;
        rustix::io::ioctl_fionbio(&ours.0, true)?;
        Ok((ours, theirs))
    }

    /// A line between two processes of a helper, of which both ends wait.
    pub(crate) fn inner_pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(one), Self(other)))
    }

    pub(crate) const fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Registers the line with the runtime.
    pub(crate) fn watch(self) -> io::Result<AsyncFd<Self>> {
        #[expect(unsafe_code, reason = "registering a descriptor asks for a promise about it")]
        // SAFETY: the line owns its descriptor, which stays open and the same until the line is dropped, and the
        // registration drops it last.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        Ok(watched?)
    }

    /// The descriptor, to be put at another number.
    pub(crate) const fn descriptor(&mut self) -> &mut OwnedFd {
        &mut self.0
    }

    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    /// Sends a message, with a descriptor or without.
    pub(crate) fn send(&self, message: &Message, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.pass(message, descriptor.as_slice())
    }

    /// Sends anything, with at most as many descriptors as a message holds.
    pub(crate) fn pass(&self, content: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(content).map_err(io::Error::other)?;
        self.send_some(&bytes, descriptors)
    }

    fn send_some(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(descriptors.len()))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for what was sent with [`Channel::pass`]. `None` if nobody sends any more.
    pub(crate) fn take<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let (bytes, descriptors) = self.take_some()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let content = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        Ok(Some((content, descriptors)))
    }

    /// Hands a policy over to a helper that waits for it, and descriptors with the numbers that they are to have there.
    pub(crate) fn hand_over(
        &self,
        policy: BorrowedFd<'_>,
        numbers: &[RawFd],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let all = serde_json::to_vec(numbers).map_err(io::Error::other)?;
        let descriptors: Vec<_> = [policy].into_iter().chain(descriptors.iter().copied()).collect();
        // The first message says how many there are; what it has no room for comes in others.
        let mut bytes = all.as_slice();
        for some in descriptors.chunks(MOST_DESCRIPTORS) {
            self.send_some(bytes, some)?;
            bytes = AND_MORE;
        }
        Ok(())
    }

    /// Waits for a policy: it, and descriptors with the numbers that they are to have. `None` if there comes none.
    pub(crate) fn take_over(&self) -> io::Result<Option<Handed>> {
        let (first, descriptors) = self.take_some()?;
        let mut descriptors = descriptors.into_iter();
        let Some(policy) = descriptors.next() else {
            return Ok(None);
        };
        let numbers: Vec<RawFd> = serde_json::from_slice(&first).map_err(io::Error::other)?;
        let mut descriptors: Vec<OwnedFd> = descriptors.collect();
        while descriptors.len() < numbers.len() {
            let (_, more) = self.take_some()?;
            if more.is_empty() {
                return Err(io::Error::other("a descriptor was lost on the way"));
            }
            descriptors.extend(more);
        }
        let given = numbers.into_iter().zip(descriptors).collect();
        Ok(Some(Handed { policy, given }))
    }

    /// The next message's bytes and descriptors, of which there are none where nobody sends any more.
    fn take_some(&self) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut bytes = vec![0; MAXIMUM];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let descriptors = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        bytes.truncate(received.bytes);
        Ok((bytes, descriptors))
    }

    /// The next message with what came along. `Ok(None)` when the helper and everything that it started are gone.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none yet; else the line is broken.
    pub(crate) fn receive(&self) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
        let mut bytes = vec![0; MAXIMUM];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut receive = || {
            recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        };
        // A helper that ended before it took everything over resets the line, once; what it said comes after that.
        let received = match receive() {
            Err(Errno::CONNRESET) => receive()?,
            received => received?,
        };
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let bytes = bytes.get(..received.bytes).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(None);
        }
        let message = serde_json::from_slice(bytes).map_err(io::Error::other)?;
        Ok(Some((message, descriptor)))
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::fs::fstat;

    use super::*;

    #[test]
    fn more_descriptors_than_a_message_holds_are_handed_over() {
        for count in [
            0,
            1,
            MOST_DESCRIPTORS - 1,
            MOST_DESCRIPTORS,
            2 * MOST_DESCRIPTORS + 1,
        ] {
            let (ours, theirs) = Channel::pair().unwrap();
            let (policy, other) = io::pipe().unwrap();
            let numbers: Vec<RawFd> = (100..).take(count).collect();
            let descriptors = vec![other.as_fd(); count];
            ours.hand_over(policy.as_fd(), &numbers, &descriptors).unwrap();
            let handed = theirs.take_over().unwrap().unwrap();
            let inode = |descriptor: BorrowedFd<'_>| fstat(descriptor).unwrap().st_ino;
            assert_eq!(inode(handed.policy.as_fd()), inode(policy.as_fd()));
            let taken: Vec<RawFd> = handed.given.iter().map(|(number, _)| *number).collect();
            assert_eq!(taken, numbers);
            assert!(
                handed
                    .given
                    .iter()
                    .all(|(_, one)| inode(one.as_fd()) == inode(other.as_fd()))
            );
        }
    }

    #[test]
    fn a_helper_that_is_not_needed_hears_so() {
        let (ours, theirs) = Channel::pair().unwrap();
        drop(ours);
        assert!(theirs.take_over().unwrap().is_none());
    }
}
