//! `env_vars`.

use serde_json::Value;

use super::Reader;
use crate::diagnostic::pointer_token;
use crate::task::Variable;

impl Reader {
    /// `env_vars`, and the `variables` of an environment file.
    pub(super) fn variables(&mut self, value: &Value, at: &str) {
        let Some(members) = value.as_object() else {
            self.wrong_type(at, "variables", "a table of strings");
            return;
        };
        for (name, value) in members {
            let place = format!("{at}/{}", pointer_token(name));
            let Some(text) = value.as_str() else {
                self.wrong_type(place, &format!("the value of `{name}`"), "a string");
                continue;
            };
            if !is_name(name) {
                let message = format!("`{name}` is not the name of a variable");
                let help = "a name has letters, digits and `_`, and does not begin with a digit";
                self.error("ray.variable.name", place, message, help);
                continue;
            }
            let variable = match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                Some(caller) if is_name(caller) => Variable::FromCaller(caller.to_owned()),
                _ if text.contains("${") => {
                    let message = format!("the value of `{name}` holds a variable among other text");
                    let help = "a task sees nothing of its caller's variables: write the value out, or take one variable \
                                as a whole, such as `${HOME}`";
                    self.error("ray.variable.value", place, message, help);
                    continue;
                }
                _ => Variable::Value(text.to_owned()),
            };
            self.translated.vars.insert(name.clone(), variable);
        }
    }
}

fn is_name(text: &str) -> bool {
    let starts_well = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts_well
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
