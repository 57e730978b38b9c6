//! Reaches granted hosts by name, for runs that have no network of their own.
//!
//! A task in a network namespace of its own has nothing but the loopback interface. A listener made inside of that
//! namespace is given to [`serve`], which accepts on it and connects *outside*, as far as the [`Gate`] lets it. One
//! listener speaks SOCKS5 (RFC 1928), `CONNECT` and plain HTTP requests with a whole address (RFC 9112, 3.2.2); the
//! first byte tells them apart. [`variables`] are those that make programs use it; a program that does not heed
//! them reaches nothing.
//!
//! What holds:
//!
//! - Names are resolved here, never by the task, and only those that a rule names. Every address is checked, and the
//!   connection is made to a checked address without a second look-up.
//! - A plain HTTP request stands alone: its end is known, its connection closes, so the next one is checked anew.
//! - A refusal is answered at once with the line of the task file that would lift it, and told to the observer.
//! - Servers that want to know who asks are told here ([`Logins`]), and the run does not learn it.
//!
//! What does not: whoever may reach a host may say anything to it; what a tunnel carries is not looked at, but for
//! requests to servers that the run is logged in to. Behind an
//! [`Upstream`] that resolves names itself, the name is checked and its address cannot be.

mod activity;
mod client;
mod connection;
mod error;
mod failure;
mod gate;
mod http1;
mod login;
mod open;
mod outside;
mod refusal;
mod relay;
mod serve;
mod socks5;
mod target;
mod traffic;
mod upstream;
mod variables;

pub use error::ProxyError;
pub use gate::{Gate, Limits, Observer, Pace, PrivateAddresses, USER};
pub use login::Logins;
pub use outside::{Outside, System};
pub use refusal::{Reason, Refusal};
pub use serve::{serve, stand_in};
pub use traffic::Traffic;
pub use upstream::Upstream;
pub use variables::variables;
