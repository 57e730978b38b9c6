//! What is begun before it is known to be needed.

use std::ffi::OsStr;
use std::path::Path;

use wrun::core::task::MAXIMUM_BYTES;
use wrun::{Demand, Helper, HelperAhead};

use crate::args::Command;

/// What begins the line of a task file that makes it a WebAssembly task.
const MODULE: &str = "module";

/// What `--net` calls the whole network. The process to begin for that is another one.
const EVERYTHING: &str = "all";

/// Begins to start the process that will hold a native task, while the task is still read. To be kept until the command
/// has ended.
pub(crate) fn begin(command: &Command, helper: &Helper) -> Option<HelperAhead> {
    let demand = match command {
        Command::Submit(submit) if submit.files.first().is_some_and(|file| is_native(file)) => {
            submit.how.held.demand()
        }
        Command::Run(run) if !run.net.iter().any(|net| net == EVERYTHING) => run.held.demand(),
        _ => return None,
    };
    (demand != Demand::Off).then(|| helper.begin(demand))
}

/// Whether a task file looks like that of a native task. What is wrong with the file is told when it is read.
#[expect(
    clippy::disallowed_methods,
    reason = "a task file lies outside of the store, and is read again where it is needed"
)]
fn is_native(file: &Path) -> bool {
    if file.as_os_str() == OsStr::new("-") {
        return true;
    }
    // A pipe could be read only once.
    let is_small = file.metadata().is_ok_and(|metadata| {
        metadata.is_file() && usize::try_from(metadata.len()).is_ok_and(|bytes| bytes <= MAXIMUM_BYTES)
    });
    is_small
        && std::fs::read_to_string(file)
            .is_ok_and(|text| !text.lines().any(|line| line.trim_start().starts_with(MODULE)))
}
