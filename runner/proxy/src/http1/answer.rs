//! What a client is told that does not get what it asked for.

use crate::failure::{Cause, Failure};
use crate::refusal::Reason;

/// An answer for a failure, if there is anybody to hear it.
///
/// The reason is in the status line as well: what programs show of a failed `CONNECT` is that line at most. Everything
/// in it is the proxy's own text, or a host and port that were parsed. `Proxy-Status` is RFC 9209.
pub(crate) fn render(failure: &Failure) -> Option<Vec<u8>> {
    let (status, phrase, error) = match failure {
        Failure::Gone | Failure::BrokenOff { .. } => return None,
        Failure::Malformed(_) => (400, "Bad Request", "http_request_error"),
        Failure::Slow => (408, "Request Timeout", "http_request_error"),
        Failure::TooLarge => (431, "Request Header Fields Too Large", "http_request_error"),
        Failure::Unknown => (407, "Proxy Authentication Required", "http_request_denied"),
        Failure::Encryption { .. } => (502, "Bad Gateway", "tls_certificate_error"),
        Failure::Refused(refusal) => match refusal.reason {
            Reason::NotListed => (403, "Forbidden", "http_request_denied"),
            Reason::PrivateAddress => (403, "Forbidden", "destination_ip_prohibited"),
            Reason::NotResolved => (502, "Bad Gateway", "dns_error"),
        },
        Failure::Connect { cause, .. } => match cause {
            Cause::Refused => (502, "Bad Gateway", "connection_refused"),
            Cause::TimedOut => (504, "Gateway Timeout", "connection_timeout"),
            Cause::Unreachable => (502, "Bad Gateway", "destination_ip_unroutable"),
        },
        Failure::Upstream { .. } => (502, "Bad Gateway", "destination_unavailable"),
        Failure::Answer { .. } => (502, "Bad Gateway", "http_protocol_error"),
    };
    let rule = match failure {
        Failure::Refused(refusal) => refusal.rule(),
        _ => None,
    };
    let (short, long) = rule.map_or_else(Default::default, |rule| {
        (
            format!(" (add net = [\"{rule}\"] to the task file, or --net {rule})"),
            format!(
                "; to allow it, add --net {rule} to the options of `wrun run`, or to the task file:\n\n[allow]\nnet = \
                 [\"{rule}\"]"
            ),
        )
    });
    let body = format!("wrun: {failure}{long}\n");
    let answer = format!(
        "HTTP/1.1 {status} {phrase}: {failure}{short}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Proxy-Status: wrun; error={error}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    Some(answer.into_bytes())
}
