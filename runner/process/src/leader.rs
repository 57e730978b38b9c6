//! The main process of a tree.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Pid;

use crate::platform::Watch;

/// How long to wait where the end of a process is told and it cannot be waited for yet, as under a debugger.
const INTERVAL: Duration = Duration::from_millis(1);

/// What a main process used, with those of its descendants that were waited for (`getrusage(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in its own code.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The most memory that one of these processes held at one time, in bytes.
    pub maximum_resident: u64,
}

/// The main process of a tree: a child of this process that nothing else waits for.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: Pid,
    watch: Option<Watch>,
    end: Option<(ExitStatus, Usage)>,
}

impl Leader {
    pub(crate) const fn new(pid: Pid) -> Self {
        Self {
            pid,
            watch: None,
            end: None,
        }
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) const fn usage(&self) -> Option<Usage> {
        match self.end {
            Some((_, usage)) => Some(usage),
            None => None,
        }
    }

    /// Whether it was not waited for, so that its number is its own.
    pub(crate) const fn is_alive(&self) -> bool {
        self.end.is_none()
    }

    /// Waits for its end; may be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            let watch = match &mut self.watch {
                Some(watch) => watch,
                None => self.watch.insert(Watch::new(self.pid)?),
            };
            if self.end.is_none() {
                watch.changed().await?;
            }
            if let Some(status) = self.poll()? {
                return Ok(status);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Its end, if it ended.
    #[expect(unsafe_code, reason = "there is no safe wait4(2)")]
    pub(crate) fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        if let Some((status, _)) = self.end {
            return Ok(Some(status));
        }
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are to memory of this function of the types that wait4 writes.
        let waited = unsafe {
            libc::wait4(
                self.pid.as_raw_pid(),
                &raw mut status,
                libc::WNOHANG,
                usage.as_mut_ptr(),
            )
        };
        match waited {
            0 => Ok(None),
            number if number > 0 => {
                // SAFETY: wait4 filled it, and it was all zeros before, which is a value of it too.
                let usage = unsafe { usage.assume_init() };
                let usage = Usage::new(&usage);
                let status = ExitStatus::from_raw(status);
                self.end = Some((status, usage));
                Ok(Some(status))
            }
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Usage {
    fn new(usage: &libc::rusage) -> Self {
        // Kibibytes on Linux and most others, bytes on macOS.
        const RESIDENT_UNIT: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        let duration = |time: libc::timeval| {
            Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
                + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
        };
        Self {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            maximum_resident: u64::try_from(usage.ru_maxrss)
                .unwrap_or(0)
                .saturating_mul(RESIDENT_UNIT),
        }
    }
}
