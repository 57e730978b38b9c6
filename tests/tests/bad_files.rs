//! Whatever is wrong with a task file, it is said at once, with its place, and nothing is run.

use std::time::Duration;

use wrun_tests::World;

/// How long a word about a file may take.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A file that uses every key, and is right.
const WHOLE: &str = r#"name = "whole"

[run]
command = ["python", "main.py", "--loud"]
dir = "."

[env.uv]
packages = ["emoji>=2"]
requirements = ["requirements.txt"]
constraints = "constraints.txt"
python = "3.11"
indexes = [{ name = "corp", url = "https://pypi.corp.example/simple", default = true }]
exclude-newer = "2024-01-31"
no-build = true
require-hashes = false

[vars]
GREETING = "hi"
TOKEN = { from = "API_TOKEN" }

[allow]
read = ["data"]
write = ["out"]
net = ["example.org:443"]

[limits]
time = "30s"
memory = "1GiB"
processes = 64
output = "64MiB"

[retry]
attempts = 3
on = ["exit", "timeout"]
delay = "1s"
"#;

/// Files that are wrong in one way each.
const BROKEN: &[&str] = &[
    "[run",
    "[run]\ncommand = [\"true\"",
    "[run]\ncommand = 'true\n",
    "[run]\ncommand = \"\\q\"\n",
    "= 3\n",
    "\u{0}\n",
    "name = \"x\"\n",
    "[run]\n",
    "[run]\ncommand = []\n",
    "[run]\ncommand = [\"\"]\n",
    "[run]\ncommand = [\".\"]\n",
    "[run]\ncommand = [\"bin/\", \"x\"]\n",
    "[run]\ncommand = \"true\"\n",
    "[run]\ncommand = [1]\n",
    "[run]\ncommand = [\"true\"]\ncommand = [\"false\"]\n",
    "[run]\ncommand = [\"true\"]\n[run]\ncommand = [\"false\"]\n",
    "[run]\ncommand = [\"true\"]\nmodule = \"x.wasm\"\n",
    "[run]\ncommand = [\"true\"]\nargs = [\"x\"]\n",
    "[run]\ncomand = [\"true\"]\n",
    "[run]\nmodule = \"\"\n",
    "[run]\nmodule = 3\n",
    "[run]\nmodule = \"x.wasm\"\nargs = \"x\"\n",
    "[run]\ncommand = [\"true\"]\ndir = \"..\"\n",
    "[run]\ncommand = [\"true\"]\ndir = \"/etc\"\n",
    "[run]\ncommand = [\"true\"]\ndir = \"\"\n",
    "run = 3\n",
    "run = [\"true\"]\n",
    "[[run]]\ncommand = [\"true\"]\n",
    "name = \"\"\n[run]\ncommand = [\"true\"]\n",
    "name = \"a\\nb\"\n[run]\ncommand = [\"true\"]\n",
    "name = 3\n[run]\ncommand = [\"true\"]\n",
    "nmae = \"x\"\n[run]\ncommand = [\"true\"]\n",
    "[run]\ncommand = [\"true\"]\n[environment.uv]\n",
    "[run]\ncommand = [\"true\"]\n[env.poetry]\n",
    "[run]\ncommand = [\"true\"]\n[env]\nuv = 3\n",
    "[run]\ncommand = [\"true\"]\n[env]\nuv = \"emoji\"\n",
    "[run]\ncommand = [\"true\"]\n[env]\nuv = []\npip = []\n",
    "[run]\ncommand = [\"true\"]\n[vars]\n\"A-B\" = \"x\"\n",
    "[run]\ncommand = [\"true\"]\n[vars]\n1A = \"x\"\n",
    "[run]\ncommand = [\"true\"]\n[vars]\nA = 3\n",
    "[run]\ncommand = [\"true\"]\n[vars]\nA = { form = \"B\" }\n",
    "[run]\ncommand = [\"true\"]\n[vars]\nA = { from = \"B C\" }\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nread = \"data\"\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nread = [\"\"]\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nnet = [\"example.org\"]\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nnet = [\"https://example.org\"]\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nnet = [\"example.org:99999\"]\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nnet = \"all\"\n",
    "[run]\ncommand = [\"true\"]\n[allow]\nexec = true\n",
    "[run]\ncommand = [\"true\"]\n[limits]\ntime = 30\n",
    "[run]\ncommand = [\"true\"]\n[limits]\ntime = \"30\"\n",
    "[run]\ncommand = [\"true\"]\n[limits]\ntime = \"0s\"\n",
    "[run]\ncommand = [\"true\"]\n[limits]\nmemory = \"much\"\n",
    "[run]\ncommand = [\"true\"]\n[limits]\nmemory = \"0\"\n",
    "[run]\ncommand = [\"true\"]\n[limits]\nprocesses = 0\n",
    "[run]\ncommand = [\"true\"]\n[limits]\nprocesses = -1\n",
    "[run]\ncommand = [\"true\"]\n[limits]\nprocesses = 1.5\n",
    "[run]\ncommand = [\"true\"]\n[limits]\noutput = \"99999999999EiB\"\n",
    "[run]\ncommand = [\"true\"]\n[limits]\nspeed = \"1\"\n",
    "[run]\ncommand = [\"true\"]\n[retry]\n",
    "[run]\ncommand = [\"true\"]\n[retry]\nattempts = 3\n",
    "[run]\ncommand = [\"true\"]\n[retry]\nattempts = 0\non = [\"exit\"]\n",
    "[run]\ncommand = [\"true\"]\n[retry]\nattempts = 3\non = [\"failure\"]\n",
    "[run]\ncommand = [\"true\"]\n[retry]\nattempts = 3\non = \"exit\"\n",
    "[run]\ncommand = [\"true\"]\n[retry]\nattempts = 3\non = [\"exit\"]\ndelay = \"soon\"\n",
];

/// Specs that the backend says are wrong, in a file that is right otherwise.
const BROKEN_SPECS: &[&str] = &[
    "packges = []\n",
    "packages = \"emoji\"\n",
    "packages = [3]\n",
    "packages = [\"\"]\n",
    "packages = [\"emoji >>= 2\"]\n",
    "packages = [\"--index-url https://example.org\"]\n",
    "packages = [\"-e .\"]\n",
    "packages = [\"emoji\"]\npython = \"latest\"\n",
    "packages = [\"emoji\"]\npython = 3.11\n",
    "packages = [\"emoji\"]\nindexes = [{ url = \"nonsense\" }]\n",
    "packages = [\"emoji\"]\nindexes = [{ url = \"https://user:word@example.org/simple\" }]\n",
    "packages = [\"emoji\"]\nindexes = [{ name = \"x\" }]\n",
    "packages = [\"emoji\"]\nvariables = { PATH = \"/x\" }\n",
    "packages = [\"emoji\"]\nno-build = \"yes\"\n",
    "packages = [\"emoji\"]\nrequirements = \"../outside.txt\"\n",
    "packages = [\"emoji\"]\nexclude-newer = \"yesterday\"\n",
];

/// The whole file with one thing made wrong, for every line of it.
fn mutations() -> Vec<String> {
    let lines: Vec<&str> = WHOLE.lines().collect();
    let mut mutations = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut replaced = |new: &str| {
            let mut text = String::new();
            for (other, line) in lines.iter().enumerate() {
                text.push_str(if other == number { new } else { line });
                text.push('\n');
            }
            mutations.push(text);
        };
        if let Some((key, value)) = line
            .split_once(" = ")
            .filter(|(key, _)| !["GREETING", "TOKEN"].contains(key))
        {
            replaced(&format!("{key}x = {value}"));
            replaced(&format!("{key} = 1.5"));
            replaced(&format!("{key} {value}"));
            replaced(&format!("{line}\n{line}"));
        } else if line.starts_with('[') {
            replaced(&line.replace(']', "x]"));
            replaced(&line.replace(']', ""));
            replaced(&format!("{line}\n{line}"));
        }
    }
    mutations
}

/// What is wrong with how a file was refused, if anything is.
fn shortcomings(world: &World, text: &str) -> Option<String> {
    world.write("broken.toml", text);
    let ran = world
        .wrun(&["submit", "--unsandboxed", "broken.toml"])
        .env("API_TOKEN", "x")
        .run();
    let place = ran.stderr.split("broken.toml:").skip(1).any(|rest| {
        let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit());
        [numbers.next(), numbers.next()]
            .into_iter()
            .all(|number| number.is_some_and(|digits| !digits.is_empty()))
    });
    let checks = [
        (ran.code == 125, "the exit code is not 125"),
        (ran.stdout.is_empty(), "it writes to standard output"),
        (!ran.stderr.contains("panicked"), "it panics"),
        (place, "it does not name the line and column"),
        (ran.elapsed < AT_ONCE, "it takes long"),
    ];
    let wrong: Vec<&str> = checks
        .into_iter()
        .filter_map(|(good, text)| (!good).then_some(text))
        .collect();
    (!wrong.is_empty()).then(|| format!("{wrong:?}\n{text}\n{ran:?}\n"))
}

#[track_caller]
fn all_are_refused(texts: impl IntoIterator<Item = String>) {
    let world = World::new();
    world.write("requirements.txt", "");
    world.write("constraints.txt", "");
    let texts: Vec<String> = texts.into_iter().collect();
    let wrong: Vec<String> = texts
        .iter()
        .filter_map(|text| shortcomings(&world, text))
        .collect();
    let all = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {} files are refused in a wrong way:\n{all}",
        wrong.len(),
        texts.len()
    );
}

#[test]
fn broken_files_are_refused_with_the_place() {
    assert!(BROKEN.len() >= 60);
    all_are_refused(BROKEN.iter().map(|text| (*text).to_owned()));
}

#[test]
fn an_empty_file_is_refused_with_the_place() {
    all_are_refused([String::new(), "\n".to_owned(), "# nothing\n".to_owned()]);
}

#[test]
fn broken_specs_are_refused_with_the_place() {
    let head = "[run]\ncommand = [\"true\"]\n";
    let specs = BROKEN_SPECS
        .iter()
        .flat_map(|spec| ["uv", "pip"].map(|name| format!("{head}[env.{name}]\n{spec}")));
    all_are_refused(specs);
}

#[test]
fn mutations_of_a_whole_file_are_refused_with_the_place() {
    all_are_refused(mutations());
}

#[test]
fn the_whole_file_is_right() {
    let world = World::new();
    world.write("requirements.txt", "");
    world.write("constraints.txt", "");
    let python = "[env.uv]\npackages = [\"emoji>=2\"]\n";
    // Whatever interpreter there is will do here.
    let text = WHOLE.replace("python = \"3.11\"\n", "");
    assert!(text.contains(python));
    world.write("data/x", "");
    world.write("whole.toml", text);
    world
        .wrun(&["--offline", "plan", "whole.toml"])
        .env("API_TOKEN", "x")
        .run()
        .ends_with(0);
}

#[test]
fn all_mistakes_of_a_file_are_said_at_once() {
    let world = World::new();
    let text = "nmae = \"x\"\n[run]\ncommand = []\n[limits]\ntime = \"soon\"\nmemory = \"much\"\n";
    let ran = world.submit(text);
    ran.ends_with(125)
        .says("task.toml:1:1")
        .says("task.toml:3:")
        .says("task.toml:5:")
        .says("task.toml:6:");
    ran.says("did you mean `name`?");
}

#[test]
fn every_file_that_is_missing_is_said_with_its_place() {
    for backend in ["uv", "pip"] {
        let world = World::new();
        world.write("r.txt", "emoji\n");
        let text = format!(
            "[run]\ncommand = [\"true\"]\n[env.{backend}]\npackages = [\"./lib\"]\n\
             requirements = [\"r.txt\", \"gone.txt\"]\n"
        );
        let ran = world.submit(&text);
        ran.ends_with(125)
            .says("task.toml:4:13")
            .says("`lib` does not exist")
            .says("task.toml:5:26")
            .says("`gone.txt` does not exist");
        world.write("lib", "");
        world.write("gone.txt", "emoji\n-r nope.txt\n");
        world
            .submit(&text)
            .says("task.toml:5:26")
            .says("gone.txt:2: `nope.txt` does not exist");
    }
}

#[test]
fn mistakes_in_an_environment_and_elsewhere_are_said_at_once() {
    let world = World::new();
    let text = "[run]\ncommand = []\n[env.uv]\npackages = [\"emoji >>= 2\"]\npython = \"latest\"\nindexes = [\"https://a.example\", 3]\n";
    let ran = world.submit(text);
    ran.ends_with(125)
        .says("task.toml:2:")
        .says("task.toml:4:13")
        .says("task.toml:5:10")
        .says("task.toml:6:");
    let alone = world.submit(&text.replace("[]", "[\"true\"]"));
    alone
        .ends_with(125)
        .says("task.toml:4:13")
        .says("task.toml:5:10")
        .says("task.toml:6:33");
}

#[test]
fn a_mistake_in_a_list_of_an_environment_has_the_place_of_its_entry() {
    let world = World::new();
    let head = "[run]\ncommand = [\"true\"]\n";
    let index = "[env.uv]\npackages = []\nindexes = [\"https://a.example\", { nme = \"x\", url = \"https://b.example\" }]\n";
    let ran = world.submit(&format!("{head}{index}"));
    ran.ends_with(125)
        .says("task.toml:5:35")
        .says("did you mean `name`?");
    let ran = world.submit(&format!("{head}[env]\nuv = [\"emoji\", 3]\n"));
    ran.ends_with(125).says("task.toml:4:16");
    let ran = world.submit(&format!(
        "{head}[env.pip]\npackages = []\noverrides = \"o.txt\"\n"
    ));
    ran.ends_with(125).says("task.toml:5:1]");
}

#[test]
fn paths_that_are_missing_are_said_with_their_places() {
    let world = World::new();
    let ran = world.submit("[run]\nmodule = \"no.wasm\"\n[allow]\nread = [\".\", \"nope\"]\n");
    ran.ends_with(125).says("task.toml:2:10").says("task.toml:4:14");
}

#[test]
fn mistakes_are_data_for_programs() {
    let world = World::new();
    world.write("broken.toml", "[run]\ncommand = []\n[limits]\ntime = \"soon\"\n");
    let ran = world.wrun(&["--format", "json", "submit", "broken.toml"]).run();
    let events = ran.ends_with(125).events();
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(event["task"], "broken");
    let places: Vec<_> = event["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            (
                problem["code"].as_str().unwrap(),
                problem["line"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [("task.run.command.empty", 2), ("task.duration", 4)]);
}

#[test]
fn a_long_value_does_not_flood_the_terminal() {
    let world = World::new();
    let ran = world.submit(&format!(
        "[run]\ncommand = [\"true\"]\n[limits]\ntime = \"{}\"\n",
        "x".repeat(100_000)
    ));
    ran.ends_with(125).says("task.toml:4:");
    assert!(ran.stderr.len() < 10_000, "{} bytes", ran.stderr.len());
}

#[test]
fn what_is_no_text_file_is_refused() {
    let world = World::new();
    let cases: [(&str, Vec<u8>, &str); 3] = [
        ("latin1.toml", b"name = \"caf\xe9\"\n".to_vec(), "UTF-8"),
        ("large.toml", vec![b'#'; 2 * 1024 * 1024], "1 MiB"),
        ("folder.toml/task.toml", Vec::new(), "folder"),
    ];
    for (name, bytes, says) in cases {
        world.write(name, bytes);
        let name = name.split('/').next().unwrap_or(name);
        let ran = world.wrun(&["submit", name]).run();
        ran.ends_with(125).says(name).says(says).does_not_say("panicked");
        assert_eq!(ran.stdout, "");
        assert!(ran.elapsed < AT_ONCE);
    }
    world
        .wrun(&["submit", "gone.toml"])
        .run()
        .ends_with(125)
        .says("gone.toml")
        .says("task.file.unreadable");
}

#[test]
fn a_path_that_is_missing_hides_no_mistake_of_the_environment() {
    let world = World::new();
    let task = "[run]\ncommand = [\"true\"]\n[env.uv]\npackages = [\"a b\", \"six\", \"c d\"]\n[allow]\nread = [\"none\"]\n";
    world.write("task.toml", task);
    for verb in ["submit", "plan"] {
        let ran = world.wrun(&[verb, "task.toml"]).run();
        ran.ends_with(125);
        for place in ["task.toml:4:13", "task.toml:4:27", "task.toml:6:9"] {
            ran.says(place);
        }
    }
}

#[test]
fn an_item_of_a_wrong_type_hides_no_other() {
    let world = World::new();
    for backend in ["uv", "pip"] {
        let task = format!(
            "[run]\ncommand = [\"true\"]\n[env.{backend}]\npackages = [5, \"a b\", \"six\", 6, \"c d\"]\n"
        );
        world.write("task.toml", task);
        let ran = world.wrun(&["submit", "--format", "json", "task.toml"]).run();
        let events = ran.ends_with(125).events();
        let columns: Vec<i64> = events
            .first()
            .and_then(|event| event["problems"].as_array())
            .into_iter()
            .flatten()
            .filter_map(|problem| problem["column"].as_i64())
            .collect();
        assert_eq!(columns, [13, 16, 30, 33], "{ran:?}");
    }
}

#[test]
fn a_date_is_text_in_an_environment_too() {
    let world = World::new();
    let task = "[run]\ncommand = [\"true\"]\n[env.uv]\npackages = [2024-01-31]\nexclude-newer = 2024-01-31\n";
    world.write("task.toml", task);
    let ran = world.wrun(&["submit", "task.toml"]).run();
    ran.ends_with(125)
        .says("task.toml:4:13")
        .says("task.toml:5:17")
        .says("put it in quotes: `\"2024-01-31\"`");
}

#[test]
fn a_password_that_is_written_where_it_must_not_be_is_not_shown() {
    let world = World::new();
    let task = "[run]\ncommand = [\"true\"]\n[env.uv]\npackages = []\nindexes = [\"https://ada:hunter2@h.example/simple\"]\n";
    world.write("task.toml", task);
    for format in ["text", "json"] {
        let ran = world.wrun(&["submit", "--format", format, "task.toml"]).run();
        ran.ends_with(125).does_not_say("hunter2").does_not_say("ada:");
        assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
    }
    world
        .wrun(&["submit", "task.toml"])
        .run()
        .says("https://***********@h.example");
}
