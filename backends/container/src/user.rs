//! Who the processes of an image are: `USER` of a Containerfile, looked up in the image's own files.

use wrun_core::image::ImageUser;

/// Checks the form of a user: `user`, `user:group`, each a number or a name.
///
/// # Errors
/// It is none.
pub(crate) fn check(user: &str) -> Result<(), String> {
    let parts: Vec<&str> = user.split(':').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && !part
                .chars()
                .any(|letter| letter.is_control() || letter == '/' || letter == ' ')
    };
    if parts.len() > 2 || !parts.iter().all(plain) {
        return Err(format!("`{user}` is not a user"));
    }
    // -1 stands for none (`chown(2)`, `setresuid(2)`).
    if parts.iter().any(|part| part.parse() == Ok(u32::MAX)) {
        return Err(format!(
            "`{user}` is not a user: {} is the number of none",
            u32::MAX
        ));
    }
    Ok(())
}

/// Checks the user of a configuration, where none is root.
///
/// # Errors
/// It is none.
pub(crate) fn check_written(user: &str) -> Result<(), String> {
    if user.is_empty() { Ok(()) } else { check(user) }
}

/// Looks a user up. `passwd` and `group` are the texts of the image's files, empty where there are none. An empty user is
/// root.
///
/// # Errors
/// A name is not in the files.
pub(crate) fn look_up(user: &str, passwd: &str, group: &str) -> Result<ImageUser, String> {
    if user.is_empty() {
        return Ok(ImageUser::default());
    }
    check(user)?;
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| {
            // A number in the file is that of a name; a number that is not in it is meant as it is.
            fields.first() == Some(&user) || (user.parse::<u32>().is_ok() && fields.get(2) == Some(&user))
        });
    let number = |fields: &[&str], at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    let id = match user.parse::<u32>() {
        Ok(id) => id,
        Err(_) => entry
            .as_deref()
            .and_then(|fields| number(fields, 2))
            .ok_or_else(|| format!("there is no user `{user}` in the image's `/etc/passwd`"))?,
    };
    let group_id = match wanted_group {
        Some(name) => match name.parse::<u32>() {
            Ok(id) => id,
            Err(_) => group
                .lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .find(|fields| fields.first() == Some(&name))
                .and_then(|fields| number(&fields, 2))
                .ok_or_else(|| format!("there is no group `{name}` in the image's `/etc/group`"))?,
        },
        None => entry.as_deref().and_then(|fields| number(fields, 3)).unwrap_or(0),
    };
    Ok(ImageUser {
        user: id,
        group: group_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:100:Ada:/home/ada:/bin/sh\nbad:x:y\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:ada\nstaff:x:50:\n";

    fn told(user: &str) -> Result<(u32, u32), String> {
        look_up(user, PASSWD, GROUP).map(|found| (found.user, found.group))
    }

    #[test]
    fn users_are_looked_up_in_the_image() {
        assert_eq!(told(""), Ok((0, 0)));
        assert_eq!(told("ada"), Ok((1000, 100)));
        assert_eq!(told("1000"), Ok((1000, 100)));
        assert_eq!(told("1001"), Ok((1001, 0)));
        assert_eq!(told("ada:staff"), Ok((1000, 50)));
        assert_eq!(told("7:8"), Ok((7, 8)));
        assert!(told("bob").unwrap_err().contains("no user `bob`"));
        assert!(told("ada:nobody").unwrap_err().contains("no group `nobody`"));
        assert!(told("bad").is_err());
        assert!(told("a:b:c").is_err());
        assert!(told("a b").is_err());
        assert!(told("4294967296").is_err());
        assert!(told("4294967295").unwrap_err().contains("the number of none"));
        assert!(told("0:4294967295").is_err());
    }
}
