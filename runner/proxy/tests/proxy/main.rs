//! The proxy at work: with real sockets, and with a network outside whose names and addresses the tests decide.

#[cfg(test)]
mod curl;
#[cfg(test)]
mod life;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod names;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod upstream;
