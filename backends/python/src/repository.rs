//! Whether something lies in a repository of another machine, which an installer has fetched by a program that it starts.

use crate::gather::Gathered;
use crate::requirement::Requirement;

/// The version control systems that installers know.
const SYSTEMS: &[&str] = &["git", "hg", "svn", "bzr"];

/// Whether a requirement (PEP 508) is one of a repository of another machine.
#[must_use]
pub fn is_in_requirement(text: &str) -> bool {
    text.split('@').skip(1).any(|address| {
        address
            .trim_start()
            .split_once('+')
            .is_some_and(|(system, address)| SYSTEMS.contains(&system) && is_elsewhere(address))
    })
}

/// Whether a requirement, a constraint or an override is one of a repository of another machine.
#[must_use]
pub fn is_in_gathered(gathered: &Gathered) -> bool {
    let Gathered {
        requirements,
        constraints,
        overrides,
        ..
    } = gathered;
    let mut listed = requirements.iter().chain(constraints).chain(overrides);
    listed.any(|entry| match &entry.requirement {
        Requirement::Named(named) => is_in_requirement(&named.text),
        Requirement::Local(_) => false,
    })
}

/// Whether the address of a repository is one of another machine.
#[must_use]
pub fn is_elsewhere(address: &str) -> bool {
    !address.starts_with("file:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repositories_of_other_machines_are_elsewhere() {
        for (requirement, expected) in [
            ("six @ git+https://example.org/six@main", true),
            ("six[a] @ hg+ssh://me@example.org/six ; os_name == 'posix'", true),
            ("six @ git+file:///srv/six", false),
            ("six @ https://git.example.org/six+1.whl", false),
            ("gitpython>=3", false),
        ] {
            assert_eq!(is_in_requirement(requirement), expected, "{requirement}");
        }
    }
}
