//! What an answer of a registry means.

use wrun_core::host::{Repository, WebResponse};
use wrun_core::problem::Problem;
use wrun_core::text::harmless_line;

use crate::documents;

/// An error as registries write it (OCI Distribution Specification, "Error Codes").
#[derive(serde::Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(serde::Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry said beside the status; one line, short.
fn said(response: &WebResponse) -> String {
    let Ok(Errors { errors }) = documents::json::<Errors>(&response.body) else {
        return String::new();
    };
    let Some(Said { code, message }) = errors.into_iter().next() else {
        return String::new();
    };
    let text: String = format!("{code}: {message}")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(200)
        .collect();
    format!(" ({})", text.trim_matches([' ', ':']))
}

/// What to do about a login that is missing or was not taken.
fn login_help(repository: &Repository, response: &WebResponse) -> String {
    let registry = &repository.registry;
    match (repository.credential.as_deref(), &response.login) {
        (Some(name), _) => {
            let variable = name.to_ascii_uppercase().replace(['-', '.'], "_");
            format!(
                "check `WRUN_INDEX_{variable}_USERNAME` and `WRUN_INDEX_{variable}_PASSWORD`, which were sent, and that this user may pull; some registries answer so for a name that does not exist"
            )
        }
        (None, Some(_)) if response.status == 401 => format!(
            "the password is not, or not any more, that of the user: log in again with `podman login {registry}` or `docker login {registry}`"
        ),
        (None, Some(login)) => format!(
            "see to it that this user may pull, or change {login}; some registries answer so for a name that does not exist"
        ),
        (None, None) => "log in with `podman login` or `docker login`, or name a credential with `credentials`; some registries answer so for a name that does not exist".to_owned(),
    }
}

/// A status that is no success. `what` is what was asked for, `repository` who was asked.
pub(crate) fn status(what: &str, repository: &Repository, response: &WebResponse) -> Problem {
    let said = said(response);
    let registry = &repository.registry;
    let login_help = login_help(repository, response);
    let with_login = match &response.login {
        Some(login) if repository.credential.is_none() => format!(" with {login}"),
        _ => String::new(),
    };
    let (code, message, help) = match response.status {
        401 | 403 => (
            "container.registry.denied",
            format!(
                "`{registry}` does not let you pull {what}{with_login}: status {}{said}",
                response.status
            ),
            login_help.as_str(),
        ),
        404 => (
            "container.image.not-found",
            format!("`{registry}` does not have {what}: status 404{said}"),
            "check the name and the tag; a private image may look as if it did not exist",
        ),
        429 => (
            "container.registry.busy",
            format!("`{registry}` answers {what} with status 429: too many requests{said}"),
            "wait, log in for a higher limit, or name a mirror with `mirrors`",
        ),
        500.. => (
            "container.registry.failed",
            format!(
                "`{registry}` failed when asked for {what}: status {}{said}",
                response.status
            ),
            "try again later, or name a mirror with `mirrors`",
        ),
        other => (
            "container.registry.status",
            format!("`{registry}` answered {what} with status {other}{said}"),
            "check that it is a registry (OCI Distribution Specification 1.1)",
        ),
    };
    Problem::Failed {
        code: code.to_owned(),
        message,
        help: Some(help.to_owned()),
    }
}

/// The most that is shown of one thing that an image says, in characters.
const SHOWN: usize = 120;

/// The most of all that is shown of a document.
const REASON: usize = 1000;

/// What an image or a registry says, in one line, without what a terminal obeys, and not endless.
pub(crate) fn foreign(text: &str) -> String {
    cut(text, SHOWN)
}

fn cut(text: &str, most: usize) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    harmless_line(&shown).into_owned()
}

/// A document that cannot be used. `what` names it; the reason may hold what is in it.
pub(crate) fn document(what: &str, reason: &str) -> Problem {
    let reason = cut(reason, REASON);
    Problem::Failed {
        code: "container.image.invalid".to_owned(),
        message: format!("{what} cannot be used: {reason}"),
        help: Some("ask whoever made the image, or use another one".to_owned()),
    }
}

/// What was sent is not what was asked for.
pub(crate) fn wrong_digest(
    what: &str,
    expected: &impl std::fmt::Display,
    found: &impl std::fmt::Display,
) -> Problem {
    Problem::Failed {
        code: "container.digest".to_owned(),
        message: format!("{what} has the digest `{found}` and not `{expected}`"),
        help: Some(
            "it was changed on the way or where it is kept; do not use it before you know why".to_owned(),
        ),
    }
}

/// A problem of the host with what it was about.
pub(crate) fn about(what: &str, problem: Problem) -> Problem {
    match problem {
        Problem::Failed { code, message, help } => Problem::Failed {
            code,
            message: format!("{what}: {message}"),
            help,
        },
        other => other,
    }
}
