//! What wrun itself says or keeps of what others wrote holds nothing that a terminal would obey.

use wrun_tests::tasks::command;
use wrun_tests::{World, files};

/// Clears the screen, in seven and in eight bits; sets the title; goes back; ends a line early.
const CODES: &str = "\u{1b}[2J\u{9b}2J\u{1b}]0;title\u{7}\u{8}\u{7f}";

/// What a terminal would obey, but for colours, which wrun writes itself.
fn has_codes(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    letters.iter().enumerate().any(|(place, letter)| {
        let is_colour = *letter == '\u{1b}' && {
            let rest = letters.get(place + 1..).unwrap_or_default();
            let parameters = rest
                .iter()
                .skip(1)
                .take_while(|letter| matches!(letter, '0'..='9' | ';'));
            rest.first() == Some(&'[') && rest.get(1 + parameters.count()) == Some(&'m')
        };
        letter.is_control() && !matches!(letter, '\n' | '\r' | '\t') && !is_colour
    })
}

#[test]
fn a_task_file_that_is_quoted_is_shown() {
    let world = World::new();
    world.write("task.toml", format!("[run]\n# {CODES}\ncommand = {CODES}\n"));
    for format in ["text", "json"] {
        let ran = world.wrun(&["--format", format, "submit", "task.toml"]).run();
        ran.ends_with(125);
        assert!(!has_codes(&ran.stderr) && !has_codes(&ran.stdout), "{ran:?}");
    }
    // With colours too.
    let (code, shown) = world
        .wrun(&["submit", "task.toml"])
        .without("NO_COLOR")
        .on_terminal(24, 120)
        .wait();
    assert_eq!(code, 125, "{shown}");
    assert!(shown.contains("u{1b}") && !has_codes(&shown), "{shown:?}");
}

#[test]
fn a_path_in_a_message_is_shown() {
    let world = World::new();
    let ran = world.wrun(&["submit", &format!("no{CODES}.toml")]).run();
    ran.ends_with(125).says("no\\u{1b}[2J");
    assert!(!has_codes(&ran.stderr), "{ran:?}");
}

#[test]
fn what_an_installer_wrote_is_shown_and_kept_so() {
    let world = World::new();
    let setup = format!(
        "import sys\nsys.stderr.write({CODES:?}.encode().decode('unicode_escape') + 'said by setup\\n')\nsys.exit(1)\n"
    );
    // Python knows other escapes than Rust.
    let setup = setup.replace("\\u{1b}", "\\x1b").replace("\\u{9b}", "\\x9b");
    let setup = setup
        .replace("\\u{7}", "\\x07")
        .replace("\\u{8}", "\\x08")
        .replace("\\u{7f}", "\\x7f");
    world.write("bad/setup.py", setup);
    world.write(
        "bad/pyproject.toml",
        "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"bad\"\nversion = \"1\"\n",
    );
    world.write(
        "bad/backend.py",
        "def build_wheel(*a, **k):\n    exec(open('setup.py').read())\nbuild_editable = build_wheel\n",
    );
    world.write("requirements.txt", "./bad\n");
    let text = format!(
        "{}[env.uv]\nrequirements = [\"requirements.txt\"]\n",
        command(&["true"], "")
    );
    let ran = world.submit(&text);
    ran.ends_with(125).says("said by setup");
    // uv takes the sequences of seven bits out by itself.
    assert!(ran.stderr.contains("u{9b}2J"), "{ran:?}");
    assert!(!has_codes(&ran.stderr), "{ran:?}");
    for path in files::walk(&world.store().join("v1/build")) {
        if path.is_file() {
            let kept = String::from_utf8_lossy(&files::bytes(&path)).into_owned();
            assert!(!has_codes(&kept) && !kept.contains("\\u001b"), "{kept}");
        }
    }
}

#[test]
fn one_of_several_tasks_does_not_write_over_the_others() {
    let world = World::new();
    let script = "printf 'a\\033[2Jb\\033[31mc\\033[0m\\n'";
    for name in ["one.toml", "two.toml"] {
        world.write(name, command(&["sh", "-c", script], ""));
    }
    let (code, shown) = world
        .wrun(&["submit", "one.toml", "two.toml"])
        .on_terminal(24, 120)
        .wait();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(
        shown.matches("a\\u{1b}[2Jb\u{1b}[31mc\u{1b}[0m").count(),
        2,
        "{shown:?}"
    );

    // What is written elsewhere is as it was written, and so is what one task writes.
    let raw = "a\u{1b}[2Jb";
    let ran = world.wrun(&["submit", "one.toml", "two.toml"]).run();
    assert_eq!(ran.ends_with(0).stdout.matches(raw).count(), 2, "{ran:?}");
    let (_, shown) = world.wrun(&["submit", "one.toml"]).on_terminal(24, 120).wait();
    assert!(shown.contains(raw), "{shown:?}");
}
