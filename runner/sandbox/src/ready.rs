//! A helper that runs and waits for its policy.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use wrun_process::{ProcessError, Streams, Tree};

use crate::channel::Channel;
use crate::error::SandboxError;
use crate::helper::{ARGUMENT, AheadNetwork, BUILD};
use crate::memfd;
use crate::policy::Policy;

/// A helper that runs and waits for its policy. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Ready {
    tree: Tree,
    channel: Channel,
}

impl Ready {
    /// Starts a helper.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(program: &Path, network: AheadNetwork) -> Result<Self, ProcessError> {
        let start_error = |source| ProcessError::Start {
            program: program.to_owned(),
            source,
        };
        let (ours, theirs) = Channel::pair().map_err(start_error)?;
        let theirs = theirs.into_descriptor();
        let args = [
            ARGUMENT.into(),
            BUILD.into(),
            std::process::id().to_string().into(),
            theirs.as_raw_fd().to_string().into(),
            network.word().into(),
            crate::platform::processors().into(),
        ];
        let tree = crate::platform::spawn_helper(program, &args, &theirs)?;
        Ok(Self { tree, channel: ours })
    }

    /// Hands the policy over, with the descriptors that it speaks of, under their numbers here, and the standard streams
    /// that are not this process' own.
    ///
    /// # Errors
    /// Memory or descriptors ran out.
    pub(crate) fn go(
        mut self,
        policy: &Policy,
        given: &[OwnedFd],
        (ours, theirs): (Streams, Streams),
    ) -> Result<(Tree, Channel), SandboxError> {
        let bytes = serde_json::to_vec(policy).map_err(io::Error::other)?;
        let policy = memfd::seal(&bytes)?;
        let streams = (0..).zip(&theirs);
        let streams = streams.filter_map(|(number, stream)| Some((number, stream.as_ref()?.as_fd())));
        let given = given.iter().map(|one| (one.as_raw_fd(), one.as_fd()));
        let (numbers, descriptors): (Vec<RawFd>, Vec<BorrowedFd<'_>>) = streams.chain(given).unzip();
        match self.channel.hand_over(policy.as_fd(), &numbers, &descriptors) {
            Ok(()) => {}
            // It ended. What it said before that is read next.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => return Err(error.into()),
        }
        self.tree.set_pipes(ours)?;
        Ok((self.tree, self.channel))
    }
}
