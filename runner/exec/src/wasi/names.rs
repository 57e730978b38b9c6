//! The `wasi:sockets/ip-name-lookup` of a guest with a list of hosts: names that are not listed are refused before
//! anything goes to a name server, and what the others resolve to is remembered for the check of addresses.

use std::net::IpAddr;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{self as wasi_network, ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Network as NetworkHandle, SocketError};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView as _};

use super::network::Network;
use super::state::ComponentState;

/// The host's sockets together with the rules of the run.
pub(super) struct FilteredNames<'a> {
    sockets: WasiSocketsCtxView<'a>,
    network: Arc<Network>,
}

struct HasFilteredNames;

impl HasData for HasFilteredNames {
    type Data<'a> = FilteredNames<'a>;
}

/// Puts the filtered look-up in the place of the one that the linker has.
///
/// # Errors
/// The linker refuses the definition.
pub(super) fn add_to_linker(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<ComponentState, HasFilteredNames>(linker, |state| {
        let network = Arc::clone(&state.network);
        FilteredNames {
            sockets: state.sockets(),
            network,
        }
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

impl ip_name_lookup::Host for FilteredNames<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<NetworkHandle>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        if !self.network.resolves(&name) {
            return Err(ErrorCode::AccessDenied.into());
        }
        let stream = ip_name_lookup::Host::resolve_addresses(&mut self.sockets, network, name.clone())?;
        self.network.look_up(stream.rep(), name);
        Ok(stream)
    }
}

impl ip_name_lookup::HostResolveAddressStream for FilteredNames<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let number = stream.rep();
        let answer =
            ip_name_lookup::HostResolveAddressStream::resolve_next_address(&mut self.sockets, stream)?;
        if let Some(address) = &answer {
            self.network.answered(number, to_std(address));
        }
        Ok(answer)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        ip_name_lookup::HostResolveAddressStream::subscribe(&mut self.sockets, stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.network.forget(stream.rep());
        ip_name_lookup::HostResolveAddressStream::drop(&mut self.sockets, stream)
    }
}

impl wasi_network::Host for FilteredNames<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.sockets.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.sockets.network_error_code(error)
    }
}

impl wasi_network::HostNetwork for FilteredNames<'_> {
    fn drop(&mut self, handle: Resource<NetworkHandle>) -> wasmtime::Result<()> {
        wasi_network::HostNetwork::drop(&mut self.sockets, handle)
    }
}

fn to_std(address: &IpAddress) -> IpAddr {
    match *address {
        IpAddress::Ipv4(bytes) => IpAddr::from(<[u8; 4]>::from(bytes)),
        IpAddress::Ipv6(segments) => IpAddr::from(<[u16; 8]>::from(segments)),
    }
}
