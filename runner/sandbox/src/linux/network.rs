//! The network of a process that has a namespace of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::channel::Channel;
use crate::message::{Failure, Message, Step};
use crate::policy::Policy;

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

/// Listens on the loopback interface, as the proxy and in place of programs of the machine, and hands the listeners over.
pub(super) fn offer_listeners(policy: &Policy, channel: &Channel) -> Result<(), Failure> {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, policy.proxy)).or_fail(Step::Listener)?;
    offer(&proxy, &Message::Listener, channel)?;
    for address in &policy.programs {
        let listener = match TcpListener::bind(address) {
            Ok(listener) => listener,
            // A machine without IPv6 has no such program either.
            Err(error) if address.is_ipv6() && is_without_ipv6(&error) => continue,
            Err(error) => return Err(error).or_fail_at(Step::Listener, Path::new(&address.to_string())),
        };
        offer(&listener, &Message::Program(*address), channel)?;
    }
    Ok(())
}

fn offer(listener: &TcpListener, message: &Message, channel: &Channel) -> Result<(), Failure> {
    channel
        .send(message, Some(listener.as_fd()))
        .or_fail(Step::Channel)
}

fn is_without_ipv6(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::NETUNREACH)
    )
}
