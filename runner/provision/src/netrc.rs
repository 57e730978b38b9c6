//! Credentials by host from a netrc file, as ftp(1) and curl(1) describe it.

use std::collections::BTreeMap;

use wrun_core::credential::{Credential, Secret};

/// What a netrc file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Netrc {
    machines: BTreeMap<String, Credential>,
    default: Option<Credential>,
}

/// What an entry is for.
enum Machine {
    None,
    Any,
    Host(String),
}

impl Netrc {
    /// Reads the text of a file. Macros are skipped, and so is what is not understood.
    pub(crate) fn parse(text: &str) -> Self {
        let mut netrc = Self::default();
        let mut machine = Machine::None;
        let (mut login, mut password) = (String::new(), String::new());
        let mut tokens = tokens(text).into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token.as_str() {
                "machine" | "default" => {
                    netrc.keep(machine, &mut login, &mut password);
                    machine = match tokens.next_if(|_| token == "machine") {
                        Some(host) => Machine::Host(host),
                        None => Machine::Any,
                    };
                }
                "login" => login = tokens.next().unwrap_or_default(),
                "password" => password = tokens.next().unwrap_or_default(),
                "account" => {
                    tokens.next();
                }
                _ => {}
            }
        }
        netrc.keep(machine, &mut login, &mut password);
        netrc
    }

    /// The credential for a host.
    pub(crate) fn get(&self, host: &str) -> Option<&Credential> {
        self.machines.get(host).or(self.default.as_ref())
    }

    /// Ends an entry. The first entry of a host counts.
    fn keep(&mut self, machine: Machine, login: &mut String, password: &mut String) {
        let credential = Credential {
            username: std::mem::take(login),
            password: Secret::new(std::mem::take(password)),
        };
        match machine {
            Machine::Host(host) => {
                self.machines.entry(host).or_insert(credential);
            }
            Machine::Any => self.default = Some(credential),
            Machine::None => {}
        }
    }
}

/// The words of the file: separated by white space, in double quotes if they hold some, `#` begins a comment where a
/// keyword may stand, and a `macdef` goes on to the next empty line.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let takes_a_value = tokens
                .last()
                .is_some_and(|word| matches!(word.as_str(), "machine" | "login" | "password" | "account"));
            if first == '#' && !takes_a_value {
                break;
            }
            let (word, tail) = if first == '"' { quoted(rest) } else { plain(rest) };
            if word == "macdef" {
                in_macro = true;
                break;
            }
            tokens.push(word);
            rest = tail.trim_start();
        }
    }
    tokens
}

fn plain(text: &str) -> (String, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, tail) = text.split_at(end);
    (word.to_owned(), tail)
}

fn quoted(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (word, text.get(at + 1..).unwrap_or_default()),
            '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => word.push(character),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_and_the_default_are_read() {
        let netrc = Netrc::parse(
            "# note\nmachine a.example login ada password \"p \\\"w\" # more\nmacdef init\nmachine evil login x\n\n\
             machine b.example\n  login b\n  account c\n  password #hash\ndefault login any password x",
        );
        let get = |host: &str| {
            netrc
                .get(host)
                .map(|found| (found.username.clone(), found.password.expose().to_owned()))
        };
        assert_eq!(get("a.example"), Some(("ada".into(), "p \"w".into())));
        assert_eq!(get("b.example"), Some(("b".into(), "#hash".into())));
        assert_eq!(get("evil"), Some(("any".into(), "x".into())));
        assert_eq!(
            Netrc::parse("machine")
                .get("x")
                .map(|found| found.username.clone()),
            Some(String::new())
        );
    }
}
