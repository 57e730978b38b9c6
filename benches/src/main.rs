//! Benchmarks of `wrun` against the bare thing, in one run.

mod cold;
mod conda;
mod embedded;
mod image;
mod memory;
mod native;
mod sandbox;
mod stats;
mod wasi;
mod world;

use world::{Result, World, say};

/// A section: its name and what it measures.
type Section = (&'static str, fn(&World) -> Result<()>);

const SECTIONS: &[Section] = &[
    ("native", native::measure),
    ("sandbox", sandbox::measure),
    ("wasi", wasi::measure),
    ("embedded", embedded::measure),
    ("cold", cold::measure),
    ("conda", conda::measure),
    ("image", image::measure),
    ("memory", memory::measure),
];

fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let [conda::INSTALLER, lock, cache, prefix] =
        asked.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
    {
        return conda::install(lock.as_ref(), cache.as_ref(), prefix.as_ref());
    }
    if let Some(unknown) = asked
        .iter()
        .find(|name| !SECTIONS.iter().any(|section| section.0 == name.as_str()))
    {
        let known: Vec<_> = SECTIONS.iter().map(|section| section.0).collect();
        return Err(format!("there is no section `{unknown}`; there are: {}", known.join(", ")).into());
    }
    let world = World::new()?;
    for (name, measure) in SECTIONS {
        if asked.is_empty() || asked.iter().any(|one| one == name) {
            say(&format!("\n## {name}\n"));
            measure(&world)?;
        }
    }
    Ok(())
}
