//! The network of a process that has a namespace of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::channel::Channel;
use crate::message::{Failure, Message, Step};
use crate::policy::Network;

use super::step::{Try as _, failure};

/// Brings the loopback interface up (`netdevice(7)`).
pub(super) fn loopback_up() -> Result<(), Failure> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .or_fail(Step::Loopback)?;
    let flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(b"lo") {
        *to = libc::c_char::try_from(*from).unwrap_or_default();
    }
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    #[expect(unsafe_code, reason = "there is no safe way to bring an interface up")]
    // SAFETY: the request is a whole `ifreq` with a name that ends in NUL and flags, which this call only reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 {
        Ok(())
    } else {
        let errno = std::io::Error::last_os_error().raw_os_error();
        Err(failure(Step::Loopback, errno.unwrap_or(libc::EPERM)))
    }
}

/// Listens on the loopback interface and hands the listener over.
pub(super) fn offer_listener(channel: &Channel) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, Network::PORT)).or_fail(Step::Listener)?;
    channel
        .send(&Message::Listener, Some(listener.as_fd()))
        .or_fail(Step::Channel)
}
