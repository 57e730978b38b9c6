//! Does nothing. Running it costs what starting and ending a program of the standard library costs.

fn main() {}
