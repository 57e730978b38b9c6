//! What a guest is given: arguments, variables, folders, streams, the network.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wrun_core::event::Stream;
use wrun_core::grants::{Access, Grants, PathGrant};
use wrun_core::net::Net;

use super::error::WasiError;
use super::network::Network;
use super::output::{GuestOutput, OutputMeter};
use crate::stdio::{Stdin, Stdio};

/// What a guest is started with.
#[derive(Debug, Clone, Default)]
pub struct WasiTask {
    /// The program's name, its first argument.
    pub name: String,
    /// The arguments after the name.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Folders, network and limits. The limit on processes has no meaning for a guest, which cannot start any.
    pub grants: Grants,
}

impl WasiTask {
    /// Everything that the guest is given, ready to be made into the state of a store.
    ///
    /// # Errors
    /// A granted folder cannot be opened, or is a file.
    pub(super) fn context(&self, stdio: Stdio, network: &Arc<Network>) -> Result<WasiCtxBuilder, WasiError> {
        let mut builder = WasiCtxBuilder::new();
        builder.arg(&self.name).args(&self.args);
        for (name, value) in &self.env {
            builder.env(name, value);
        }
        for grant in &self.grants.paths {
            preopen(&mut builder, grant)?;
        }
        connect(&mut builder, network);
        let meter = self
            .grants
            .limits
            .output
            .map(|limit| Arc::new(OutputMeter::new(limit)));
        builder.stdout(GuestOutput::new(Stream::Stdout, &stdio.output, meter.clone()));
        builder.stderr(GuestOutput::new(Stream::Stderr, &stdio.output, meter));
        match stdio.stdin {
            Stdin::Null => {}
            // Read by one thread of its own for the whole process, which nothing waits for.
            Stdin::Inherit => {
                builder.inherit_stdin();
            }
            Stdin::Bytes(bytes) => {
                builder.stdin(MemoryInputPipe::new(bytes));
            }
        }
        Ok(builder)
    }
}

fn preopen(builder: &mut WasiCtxBuilder, grant: &PathGrant) -> Result<(), WasiError> {
    let rights = match grant.access {
        Access::Read => FsPerms::ReadOnly,
        Access::Write => FsPerms::ReadWrite,
    };
    let Err(error) = builder.preopened_dir(&grant.host, &grant.guest, rights) else {
        return Ok(());
    };
    let path = grant.host.clone();
    if error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotADirectory)
    {
        return Err(WasiError::FileGrant { path });
    }
    Err(WasiError::Folder {
        path,
        reason: error.root_cause().to_string(),
    })
}

fn connect(builder: &mut WasiCtxBuilder, network: &Arc<Network>) {
    if matches!(network.net(), Net::None) {
        return;
    }
    builder.allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
    let network = Arc::clone(network);
    builder.socket_addr_check(move |address, purpose| {
        let allowed = network.allows(address, purpose);
        Box::pin(async move { allowed })
    });
}
