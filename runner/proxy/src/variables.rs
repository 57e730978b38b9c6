//! The variables that make programs use the proxy.

/// What a run's environment needs for its programs to use the proxy on this port of its own loopback interface.
///
/// There is no standard; the names are those of curl, in both cases, as programs read one or the other (curl reads
/// `http_proxy` in lower case only). Loopback addresses are the run's own and are reached without the proxy.
#[must_use]
pub fn variables(port: u16) -> Vec<(String, String)> {
    let http = format!("http://127.0.0.1:{port}");
    let settings = [
        ("HTTP_PROXY", http.clone()),
        ("HTTPS_PROXY", http),
        ("ALL_PROXY", format!("socks5h://127.0.0.1:{port}")),
        ("NO_PROXY", "localhost,127.0.0.1,::1".to_owned()),
    ];
    settings
        .into_iter()
        .flat_map(|(name, value)| {
            [
                (name.to_owned(), value.clone()),
                (name.to_ascii_lowercase(), value),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_say_the_same() {
        let all = variables(4711);
        assert_eq!(all.len(), 8);
        let get = |wanted: &str| {
            let found = all.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(get("https_proxy"), Some("http://127.0.0.1:4711"));
        assert_eq!(get("ALL_PROXY"), Some("socks5h://127.0.0.1:4711"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            assert_eq!(get(name), get(&name.to_ascii_lowercase()));
        }
    }
}
