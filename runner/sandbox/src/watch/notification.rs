//! The descriptor by which the kernel tells of calls that wait for an answer (`seccomp_unotify(2)`).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::{io, ptr};

use rustix::event::{PollFd, PollFlags, poll};

/// The notifications of a filter. When it is dropped every call that waits, or comes later, fails (`ENOSYS`).
pub(super) struct Notifications(OwnedFd);

/// What a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done, as far as the other layers let it.
    Continue,
    /// It fails with this error (`errno(3)`).
    Fail(i32),
}

impl Notifications {
    pub(super) const fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Waits for the next call. `Ok(None)` once nobody is left to make one, or the other end of `stop` was closed.
    pub(super) fn next(&self, stop: BorrowedFd<'_>) -> io::Result<Option<libc::seccomp_notif>> {
        loop {
            let mut ready = [
                PollFd::from_borrowed_fd(stop, PollFlags::IN),
                PollFd::new(&self.0, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let [stop, told] = ready.map(|descriptor| descriptor.revents());
            if !told.contains(PollFlags::IN) {
                if !told.is_empty() || !stop.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            match self.receive() {
                // The caller was killed in between.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
                received => return received.map(Some),
            }
        }
    }

    fn receive(&self) -> io::Result<libc::seccomp_notif> {
        let mut notification = MaybeUninit::<libc::seccomp_notif>::zeroed();
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, notification.as_mut_ptr())?;
        #[expect(unsafe_code, reason = "the kernel fills the structure")]
        // SAFETY: every field is an integer, for which zeros are valid, and the kernel wrote whole integers over them.
        let notification = unsafe { notification.assume_init() };
        Ok(notification)
    }

    /// Answers a call. One whose caller is gone needs no answer.
    pub(super) fn answer(&self, id: u64, answer: Answer) -> io::Result<()> {
        let (error, flags) = match answer {
            Answer::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
            Answer::Fail(errno) => (-errno, 0),
        };
        let mut response = libc::seccomp_notif_resp {
            id,
            val: 0,
            error,
            flags: u32::try_from(flags).unwrap_or_default(),
        };
        match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the call still waits, so that what was read by the caller's number is the caller's.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        let mut id = id;
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, ptr::from_mut(&mut id))
            .is_ok()
    }

    #[expect(unsafe_code, reason = "there is no safe interface to these")]
    fn ioctl<T>(&self, request: libc::Ioctl, argument: *mut T) -> io::Result<()> {
        // SAFETY: each request is called with a pointer to the structure whose size is part of its number; it lives
        // through the call and nothing else refers to it.
        let result = unsafe { libc::ioctl(self.0.as_fd().as_raw_fd(), request, argument) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
