//! The `wrun-helper` program, which sets the sandbox of a task up and becomes the task. It is what `wrun` does when it is
//! started as its own helper, without the rest of `wrun`, and so starts in less time.

use std::io::Write as _;
use std::process::ExitCode;

use wrun_sandbox::Helper;

fn main() -> ExitCode {
    // Started as a helper, this does not come back.
    let _ = Helper::enter();
    drop(writeln!(
        std::io::stderr(),
        "wrun-helper is started by wrun, to set the sandbox of a task up; by itself it does nothing"
    ));
    ExitCode::from(2)
}
