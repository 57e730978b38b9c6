//! Where only wheels are taken, that is what is said when there is none.

use wrun_tests::{Index, Wheel, World, files, machine};

/// Makes a source distribution (PEP 625) of a package that nobody builds.
const MAKE: &str = r#"
import io, tarfile
with tarfile.open("links/thing-1.0.tar.gz", "w:gz") as archive:
    for name, text in [
        ("PKG-INFO", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"),
        ("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = 'none'\n"),
    ]:
        member = tarfile.TarInfo("thing-1.0/" + name)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
"#;

#[test]
fn a_version_without_a_wheel_is_told_with_what_forbids_to_build_it() {
    let world = World::new();
    files::folder(&world.project().join("links"));
    world
        .command(machine::python())
        .args(["-I", "-c", MAKE])
        .run()
        .ends_with(0);
    let index = Index::with([Wheel::new("other", "1.0")]);
    for backend in ["uv", "pip"] {
        let task = format!(
            "[run]\ncommand = [\"true\"]\n[env.{backend}]\npackages = [\"thing\"]\nno-build = true\nfind-links = [\"links\"]\n\
             indexes = [{{ url = \"{}\", default = true }}]\n",
            index.url()
        );
        world.write("task.toml", task);
        let ran = world.wrun(&["submit", "task.toml"]).run();
        ran.ends_with(125).says("`no-build` takes wheels only");
    }
}
