//! How much a download may bring whose size nobody said.

use std::path::Path;

use super::failure::Failure;

const MIB: u64 = 1024 * 1024;

/// The largest file that is taken where nobody said how large it is, in bytes: several times the largest packages that
/// public indexes take.
const LARGEST: u64 = 16 * 1024 * MIB;

/// What such a file leaves free of the disk, in bytes; of a small disk, a part of [`SMALLEST_PART`].
const RESERVE: u64 = 512 * MIB;

/// See [`RESERVE`].
const SMALLEST_PART: u64 = 20;

/// After how many bytes the disk is looked at again.
const LOOK_AGAIN: u64 = MIB;

/// The room for a file on its way into the store.
pub(crate) struct Room<'a> {
    size: Option<u64>,
    store: &'a Path,
    looked_at: Option<u64>,
}

impl<'a> Room<'a> {
    /// For a file of this size, if it is known; the disk is the one of `store`.
    pub(crate) const fn new(size: Option<u64>, store: &'a Path) -> Self {
        Self {
            size,
            store,
            looked_at: None,
        }
    }

    /// Checks that there is room for a file of which `length` bytes are here and `rest` are said to come.
    ///
    /// # Errors
    /// It is larger than it may be, or the disk would have too little left.
    pub(crate) fn holds(&mut self, length: u64, rest: u64) -> Result<(), Failure> {
        let size = length.saturating_add(rest);
        if let Some(known) = self.size {
            return if length > known {
                Err(Failure::too_large(known))
            } else {
                Ok(())
            };
        }
        if size > LARGEST {
            return Err(Failure::too_large(LARGEST));
        }
        if self
            .looked_at
            .is_some_and(|at| length < at.saturating_add(LOOK_AGAIN))
        {
            return Ok(());
        }
        self.looked_at = Some(length);
        // A disk that does not say how full it is says when it is.
        let Ok(disk) = rustix::fs::statvfs(self.store) else {
            return Ok(());
        };
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        enough(rest, bytes(disk.f_bavail), bytes(disk.f_blocks))
    }
}

/// Whether a disk of `all` bytes of which `free` are free can take `rest` and keep its reserve.
fn enough(rest: u64, free: u64, all: u64) -> Result<(), Failure> {
    let reserve = RESERVE.min(all / SMALLEST_PART);
    if free < rest.saturating_add(reserve) {
        return Err(Failure::no_room(free, reserve));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_size_that_nobody_said_leaves_some_of_the_disk() {
        let disk = 1000 * 1024 * MIB;
        assert!(enough(0, RESERVE, disk).is_ok());
        assert!(enough(1, RESERVE, disk).is_err());
        assert!(enough(0, RESERVE - 1, disk).is_err());
        assert!(enough(0, 50, 1000).is_ok(), "a small disk");
        assert!(enough(0, 49, 1000).is_err());
        assert!(enough(u64::MAX, disk, disk).is_err());
    }

    #[test]
    fn no_file_is_without_a_bound() {
        let store = std::env::temp_dir();
        let room = |size| Room::new(size, &store);
        assert!(room(None).holds(LARGEST, 1).is_err());
        assert!(room(None).holds(0, LARGEST + 1).is_err());
        assert!(room(Some(10)).holds(10, 0).is_ok());
        assert!(room(Some(10)).holds(11, 0).is_err());
    }
}
