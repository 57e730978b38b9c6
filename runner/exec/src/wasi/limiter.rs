//! The memory limit of a run, over the sum of everything that its guest can grow.

use wasmtime::ResourceLimiter;

/// Bytes that the host spends on one table element.
const ELEMENT: u64 = size_of::<usize>() as u64;

/// The most elements that a table may have where no memory limit says less, the limit of the JavaScript embedding
/// (WebAssembly JavaScript Interface, "Implementation-defined limits"). A table has no other bound than 2³².
const TABLE_ELEMENTS: usize = 10_000_000;

/// Counts the bytes of all linear memories and tables of a store. They only grow, so that the sum never falls.
#[derive(Debug, Default)]
pub(super) struct MemoryLimiter {
    limit: Option<u64>,
    used: u64,
    refused: bool,
}

impl MemoryLimiter {
    pub(super) const fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            used: 0,
            refused: false,
        }
    }

    /// The limit, if the guest asked for more at some time.
    pub(super) const fn exceeded(&self) -> Option<u64> {
        if self.refused { self.limit } else { None }
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let sum = self.used.saturating_add(bytes);
        if self.limit.is_some_and(|limit| sum > limit) {
            self.refused = true;
            return false;
        }
        self.used = sum;
        true
    }
}

/// What is added, in units of the thing that grows; `None` if the growth fails anyway because it passes the maximum
/// that the guest itself declares.
fn added(current: usize, desired: usize, maximum: Option<usize>) -> Option<u64> {
    if maximum.is_some_and(|maximum| desired > maximum) {
        return None;
    }
    u64::try_from(desired.saturating_sub(current)).ok()
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(added(current, desired, maximum).is_none_or(|bytes| self.grow(bytes)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Ok(false);
        }
        Ok(added(current, desired, maximum)
            .is_none_or(|elements| self.grow(elements.saturating_mul(ELEMENT))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_counts() {
        let mut limiter = MemoryLimiter::new(Some(1000));
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.memory_growing(0, 300, None).unwrap());
        assert!(limiter.table_growing(0, 12, None).unwrap());
        assert_eq!(limiter.exceeded(), None);
        assert!(!limiter.memory_growing(300, 400, None).unwrap());
        assert_eq!(limiter.exceeded(), Some(1000));
        assert!(limiter.memory_growing(600, 604, None).unwrap());
        assert!(!limiter.table_growing(12, 13, None).unwrap());
    }

    #[test]
    fn passing_the_own_maximum_is_not_the_limits_doing() {
        let mut limiter = MemoryLimiter::new(Some(1000));
        assert!(limiter.memory_growing(0, 5000, Some(500)).unwrap());
        assert_eq!(limiter.exceeded(), None);
        assert!(limiter.memory_growing(0, 1000, Some(1000)).unwrap());
    }

    #[test]
    fn tables_are_bounded_without_a_limit() {
        let mut limiter = MemoryLimiter::default();
        assert!(limiter.memory_growing(0, 4 << 30, None).unwrap());
        assert!(!limiter.table_growing(0, TABLE_ELEMENTS + 1, None).unwrap());
        assert_eq!(limiter.exceeded(), None);
    }
}
