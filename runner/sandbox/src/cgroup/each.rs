//! One value for each limit.

use super::limits::Limit;

/// One value for each limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Each<T> {
    pub(super) memory: T,
    pub(super) processes: T,
    pub(super) cpu: T,
}

impl<T> Each<T> {
    pub(super) fn new(mut value: impl FnMut(Limit) -> T) -> Self {
        Self {
            memory: value(Limit::Memory),
            processes: value(Limit::Processes),
            cpu: value(Limit::Cpu),
        }
    }

    pub(super) const fn get(&self, limit: Limit) -> &T {
        match limit {
            Limit::Memory => &self.memory,
            Limit::Processes => &self.processes,
            Limit::Cpu => &self.cpu,
        }
    }

    pub(super) const fn get_mut(&mut self, limit: Limit) -> &mut T {
        match limit {
            Limit::Memory => &mut self.memory,
            Limit::Processes => &mut self.processes,
            Limit::Cpu => &mut self.cpu,
        }
    }
}
