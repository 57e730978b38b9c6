//! Tracing to standard error, on request.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts tracing if `WRUN_LOG` is set: events, and spans with the time that they took.
pub(crate) fn start() {
    let Ok(directives) = std::env::var("WRUN_LOG") else {
        return;
    };
    let filter = EnvFilter::builder().parse_lossy(directives);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}
