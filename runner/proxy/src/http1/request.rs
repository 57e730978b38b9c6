//! What a request asks for.

use http::HeaderValue;
use httparse::{EMPTY_HEADER, Status};

use super::body::Framing;
use super::fields::Fields;
use super::head::{FIELDS, has_clean_lines};
use crate::failure::Failure;
use crate::open::Form;
use crate::target::{HTTP_PORT, Target};

/// What a client asks a proxy for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A connection.
    Connect(Target),
    /// A resource of a server, by plain HTTP.
    Plain(Plain),
}

/// A request for a resource.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) target: Target,
    pub(crate) method: String,
    pub(crate) framing: Framing,
    pub(crate) path: String,
    /// Of the version `1.`*minor*.
    minor: u8,
    fields: Fields,
}

/// Reads the head of a request.
pub(crate) fn parse(head: &[u8]) -> Result<Request, Failure> {
    if !has_clean_lines(head) {
        return Err(Failure::Malformed("a line does not end in CR LF"));
    }
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Failure::TooLarge),
        Ok(_) | Err(_) => return Err(Failure::Malformed("it is not HTTP/1.1")),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Failure::Malformed("it is not HTTP/1.1"));
    };
    let fields = Fields::sort(parsed.headers)?;
    let framing = fields.of_request(minor)?;
    if method == "CONNECT" {
        if framing != Framing::Length(0) {
            return Err(Failure::Malformed("`CONNECT` has no body"));
        }
        return Ok(Request::Connect(Target::parse(target, None)?));
    }
    let (authority, path) = split_address(target)?;
    Ok(Request::Plain(Plain {
        target: Target::parse(authority, Some(HTTP_PORT))?,
        method: method.to_owned(),
        framing,
        path,
        minor,
        fields,
    }))
}

/// What a request says to a proxy of who asks (RFC 9110, 11.7.2).
pub(crate) fn proxy_authorization(head: &[u8]) -> Option<Vec<u8>> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    parsed.parse(head).ok()?;
    let field = parsed
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("proxy-authorization"))?;
    Some(field.value.to_vec())
}

/// Takes an `http://` address apart.
fn split_address(address: &str) -> Result<(&str, String), Failure> {
    const SCHEME: &str = "http://";
    let rest = match address.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => {
            return Err(Failure::Malformed(
                "this is a proxy: it takes `CONNECT host:port`, and `http://` addresses in other requests",
            ));
        }
    };
    if rest.contains('#') {
        return Err(Failure::Malformed("the address has a fragment"));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok((authority, path))
}

impl Plain {
    /// The head as it goes on. `Host` is that of the address, whatever the client's says (RFC 9112, 3.2.2). The
    /// version is the client's, so that the answer is one that it understands. There is no `Via`: servers send
    /// less to proxies, and there is none that the client does not know of. `login` is what it says of who asks, if the
    /// client does not say.
    pub(crate) fn render(&self, form: &Form, login: Option<&HeaderValue>) -> Vec<u8> {
        let host = self.target.authority(false);
        let mut head = Vec::new();
        let (before, authorization) = match form {
            Form::Origin => (String::new(), None),
            Form::Absolute(authorization) => (format!("http://{host}"), authorization.as_ref()),
        };
        let start = format!(
            "{} {before}{} HTTP/1.{}\r\nHost: {host}\r\n",
            self.method, self.path, self.minor
        );
        head.extend_from_slice(start.as_bytes());
        if let Some(value) = authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        if let Some(value) = login.filter(|_| !self.fields.has("authorization")) {
            head.extend_from_slice(b"Authorization: ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        self.fields.render(Some("host"), &mut head);
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(head: &str) -> Plain {
        match parse(head.as_bytes()) {
            Ok(Request::Plain(plain)) => plain,
            other => panic!("{head:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_goes_on_as_one_for_the_server() {
        let request = plain(
            "POST HTTP://Example.ORG.?q=1 HTTP/1.1\r\nHost: inner.example\r\nAccept: */*\r\nTE: trailers\r\n\
             Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nProxy-Authorization: Basic eDp5\r\n\
             Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n",
        );
        assert_eq!(request.target.to_string(), "example.org:80");
        assert_eq!(request.framing, Framing::Length(3));
        let head = String::from_utf8(request.render(&Form::Origin, None)).unwrap();
        assert_eq!(
            head,
            "POST /?q=1 HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nContent-Length: 3\r\n\
             Connection: close\r\n\r\n"
        );
        let value = "Basic eDp6".parse().unwrap();
        let head = String::from_utf8(request.render(&Form::Absolute(Some(value)), None)).unwrap();
        assert!(
            head.starts_with("POST http://example.org/?q=1 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nProxy-Authorization: Basic eDp6\r\n"), "{head}");
    }

    #[test]
    fn addresses_keep_their_port_and_brackets() {
        let request = plain("GET http://[::1]:8000/a//b HTTP/1.0\r\n\r\n");
        let head = String::from_utf8(request.render(&Form::Origin, None)).unwrap();
        assert!(
            head.starts_with("GET /a//b HTTP/1.0\r\nHost: [::1]:8000\r\n"),
            "{head}"
        );
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        let get = |fields: &str| format!("GET http://example.org/ HTTP/1.1\r\n{fields}\r\n\r\n");
        let mut heads = vec![
            get("Content-Length: 1\r\nContent-Length: 1"),
            get("Content-Length: 1, 1"),
            get("Content-Length: +1"),
            get("Content-Length: "),
            get("Content-Length: 99999999999999999999"),
            get("Content-Length: 1\r\nTransfer-Encoding: chunked"),
            get("Transfer-Encoding: gzip, chunked"),
            get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            get("Transfer-Encoding : chunked"),
            get("A: b\r\n c"),
            get("A: b\nC: d"),
            get("A: b\rC: d"),
            get("A: b\0"),
            "GET http://example.org/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "CONNECT example.org:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n".to_owned(),
            "CONNECT example.org:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "GET http://example.org/ HTTP/1.1\n\n".to_owned(),
        ];
        for target in [
            "/",
            "*",
            "http://",
            "http:///x",
            "https://example.org/",
            "ftp://example.org/",
            "http://user@example.org/",
            "http://example.org@evil.example/",
            "http://example.org\\@evil.example/",
            "http://example.org:80:80/",
            "http://example.org:/",
            "http://example.org#@evil.example/",
            "http://exam\u{ff0e}ple.org/",
        ] {
            heads.push(format!("GET {target} HTTP/1.1\r\n\r\n"));
        }
        for target in [
            "example.org",
            "http://example.org:443",
            "user@example.org:443",
            "a:1:2",
        ] {
            heads.push(format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        }
        for head in heads {
            let parsed = parse(head.as_bytes());
            assert!(
                matches!(parsed, Err(Failure::Malformed(_))),
                "{head:?}: {parsed:?}"
            );
        }
    }
}
