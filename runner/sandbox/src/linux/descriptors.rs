//! Descriptors of the helper.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// Lets a descriptor be closed when a program is executed, or not.
pub(super) fn close_on_exec(descriptor: &impl AsFd, close: bool) -> rustix::io::Result<()> {
    let flags = if close { FdFlags::CLOEXEC } else { FdFlags::empty() };
    fcntl_setfd(descriptor, flags)
}

/// Gives descriptors the numbers that they are to have. They are not owned any more: a policy speaks of them by number.
/// Others that are needed move out of the way.
pub(super) fn place(others: Vec<&mut OwnedFd>, given: Vec<(RawFd, OwnedFd)>) -> io::Result<()> {
    let highest = given
        .iter()
        .flat_map(|(number, descriptor)| [*number, descriptor.as_raw_fd()])
        .chain(others.iter().map(|other| other.as_raw_fd()))
        .max();
    let above = highest.unwrap_or_default().saturating_add(1);
    for other in others {
        *other = fcntl_dupfd_cloexec(&*other, above)?;
    }
    // All are out of the way before the first gets its number, which may be one that another one has.
    let given: Vec<(RawFd, OwnedFd)> = given
        .into_iter()
        .map(|(number, descriptor)| Ok((number, fcntl_dupfd_cloexec(descriptor, above)?)))
        .collect::<io::Result<_>>()?;
    for (number, descriptor) in given {
        #[expect(unsafe_code, reason = "a descriptor is put at a number that nobody owns")]
        // SAFETY: everything that this process owns has a number from `above` on, and this one is below; the standard
        // streams are owned by nobody. The new owner gives it up at once.
        let mut at = unsafe { OwnedFd::from_raw_fd(number) };
        let placed = rustix::io::dup2(&descriptor, &mut at);
        let _unowned = at.into_raw_fd();
        placed?;
    }
    Ok(())
}

/// Closes all descriptors but the standard streams and these. Nothing else in this process may be in use any more, nor be
/// closed by an owner.
pub(super) fn close_all_but(kept: impl Iterator<Item = RawFd>) -> io::Result<()> {
    let mut kept: Vec<libc::c_uint> = kept.filter_map(|number| number.try_into().ok()).collect();
    kept.sort_unstable();
    let mut from = 3;
    for number in kept.into_iter().map(Some).chain([None]) {
        let to = number.map_or(libc::c_uint::MAX, |number| number.saturating_sub(1));
        if from <= to {
            #[expect(unsafe_code, reason = "there is no safe close_range")]
            // SAFETY: as the documentation of this function asks, nothing owns what is closed here.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, from, to, 0 as libc::c_uint) };
            if closed != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        from = number.map_or(from, |number| number.saturating_add(1).max(from));
    }
    Ok(())
}
