//! Requirements as pip reads them.

/// The same requirement in a form that pip takes: of addresses after `@` it takes only those with a host, which a
/// repository of this machine has not (`name @ git+file:///srv/lib`). The older form with `#egg=` has no such rule.
pub(crate) fn for_pip(line: &str) -> String {
    let Some((name, rest)) = line.split_once(" @ ") else {
        return line.to_owned();
    };
    let (address, marker) = match rest.split_once(" ; ") {
        Some((address, marker)) => (address, format!(" ; {marker}")),
        None => (rest, String::new()),
    };
    let is_local_repository = address
        .split_once("://")
        .is_some_and(|(scheme, path)| scheme.ends_with("+file") && path.starts_with('/'));
    if !is_local_repository {
        return line.to_owned();
    }
    let separator = if address.contains('#') { '&' } else { '#' };
    format!("{address}{separator}egg={name}{marker}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repositories_of_this_machine_are_rewritten() {
        for (line, expected) in [
            ("x @ git+file:///srv/x", "git+file:///srv/x#egg=x"),
            (
                "x[a] @ git+file:///srv/x@v1#subdirectory=y ; os_name == 'posix'",
                "git+file:///srv/x@v1#subdirectory=y&egg=x[a] ; os_name == 'posix'",
            ),
            ("x @ git+https://h/x", "x @ git+https://h/x"),
            ("x @ https://h/x.whl", "x @ https://h/x.whl"),
            ("x==1", "x==1"),
        ] {
            assert_eq!(for_pip(line), expected);
        }
    }
}
