//! Task files from the outside: what is understood, what is refused and how it is said.

#[cfg(test)]
mod broken;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod support;
#[cfg(test)]
mod valid;
