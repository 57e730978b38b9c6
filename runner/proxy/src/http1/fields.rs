//! Which header fields go on, and what they say about the body.

use httparse::Header;

use super::body::Framing;
use crate::target::Malformed;

/// Fields that are for the next hop only, besides `Proxy-*` and those that `Connection` names (RFC 9110, 7.6.1).
/// `Content-Length` is written anew, so that there is one and it is understood.
const NOT_PASSED_ON: [&str; 8] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The fields of a message that go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    passed_on: Vec<(String, Vec<u8>)>,
    length: Option<u64>,
    chunked: bool,
}

impl Fields {
    /// Sorts the fields of a message. Two lengths, a length that is no number, and a coding other than `chunked`
    /// are not understood: where the body ends would be a guess.
    pub(crate) fn sort(all: &[Header<'_>]) -> Result<Self, Malformed> {
        let values = |name: &'static str| {
            all.iter()
                .filter(move |field| field.name.eq_ignore_ascii_case(name))
                .map(|field| field.value.trim_ascii())
        };
        let named: Vec<String> = values("connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
            .collect();
        let chunked = match (
            values("transfer-encoding").next(),
            values("transfer-encoding").nth(1),
        ) {
            (None, _) => false,
            (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => true,
            (Some(_), _) => return Err(Malformed("the transfer coding is not `chunked` alone")),
        };
        let length = match (values("content-length").next(), values("content-length").nth(1)) {
            (None, _) => None,
            (Some(only), None) => Some(parse_length(only)?),
            (Some(_), Some(_)) => return Err(Malformed("there is more than one content length")),
        };
        let passed_on = all.iter().filter_map(|field| {
            let name = field.name.to_ascii_lowercase();
            let stays =
                NOT_PASSED_ON.contains(&name.as_str()) || name.starts_with("proxy-") || named.contains(&name);
            (!stays).then(|| (field.name.to_owned(), field.value.to_vec()))
        });
        Ok(Self {
            passed_on: passed_on.collect(),
            length,
            chunked,
        })
    }

    /// Whether a field of that name goes on.
    pub(crate) fn has(&self, wanted: &str) -> bool {
        self.passed_on
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    }

    /// The end of a request's body. A length beside a coding is how requests are smuggled (RFC 9112, 6.1).
    pub(crate) fn of_request(&self, minor: u8) -> Result<Framing, Malformed> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Malformed("there is a content length beside a transfer coding")),
            (true, None) if minor == 0 => Err(Malformed("HTTP/1.0 has no transfer codings")),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }

    /// The end of an answer's body (RFC 9112, 6.3).
    pub(crate) fn of_answer(&self, has_body: bool) -> Framing {
        match (has_body, self.chunked, self.length) {
            (false, _, _) => Framing::Length(0),
            (true, true, _) => Framing::Chunked,
            (true, false, Some(length)) => Framing::Length(length),
            (true, false, None) => Framing::UntilClose,
        }
    }

    /// Writes the fields that go on, but for one that the caller writes, and the empty line. The connection closes
    /// after this message.
    pub(crate) fn render(&self, but: Option<&str>, message: &mut Vec<u8>) {
        for (name, value) in &self.passed_on {
            if but.is_some_and(|but| name.eq_ignore_ascii_case(but)) {
                continue;
            }
            message.extend_from_slice(name.as_bytes());
            message.extend_from_slice(b": ");
            message.extend_from_slice(value);
            message.extend_from_slice(b"\r\n");
        }
        if self.chunked {
            message.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if let Some(length) = self.length {
            message.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        message.extend_from_slice(b"Connection: close\r\n\r\n");
    }
}

/// Decimal digits only: `u64::from_str` also takes a sign.
fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    let digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or(Malformed("the content length is not a number"))
}
