//! Packages that are built of folders of the project, by the build backends that people use.

use wrun_tests::{World, files};

const BACKENDS: [&str; 2] = ["uv", "pip"];

/// A package of a folder with one read-only file, as repositories have them.
fn package(world: &World, build: &str) {
    let folder = world.project().join("lib");
    files::write(&folder.join("thing/__init__.py"), "VALUE = 'built'\n");
    let data = folder.join("thing/data.txt");
    if !data.exists() {
        files::write(&data, "kept\n");
        files::set_mode(&data, 0o444);
    }
    files::write(
        &folder.join("pyproject.toml"),
        format!(
            "[project]\nname = \"thing\"\nversion = \"1.0\"\ndescription = \"a thing\"\n\n[build-system]\n{build}\n"
        ),
    );
}

const HATCHLING: &str = "requires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"";
const FLIT: &str = "requires = [\"flit_core\"]\nbuild-backend = \"flit_core.buildapi\"";

/// One looks for what version control ignores in the folders above, where the store says that nothing of it counts. Another
/// one has to be fetched when the first attempt, for which all is thought to be at hand, has copied the sources already.
#[test]
fn the_build_backends_of_local_packages_can_change() {
    for backend in BACKENDS {
        let world = World::new();
        world.write(
            "task.toml",
            format!(
                "[run]\ncommand = [\"python\", \"-c\", \"import thing; print(thing.VALUE)\"]\n[env.{backend}]\npackages = [\"./lib\"]\n"
            ),
        );
        for build in [HATCHLING, FLIT, HATCHLING] {
            package(&world, build);
            world
                .wrun(&["submit", "task.toml"])
                .run()
                .ends_with(0)
                .prints("built\n");
        }
    }
}
