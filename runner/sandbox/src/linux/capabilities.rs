//! Capabilities (`capabilities(7)`).

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
};

use crate::message::{Failure, Step};

use super::step::Try as _;

/// One above the highest number that a capability may have: the sets have 64 bits.
const NUMBERS: u32 = 64;

/// Whether this process may make namespaces and mounts without a user namespace, which root of a container commonly may
/// not.
pub(super) fn may_administer() -> bool {
    capabilities(None).is_ok_and(|held| held.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Gives up every capability in every set, for good.
pub(super) fn drop_all() -> Result<(), Failure> {
    let held = capabilities(None).or_fail(Step::Capabilities)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..NUMBERS {
            match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
                Ok(()) => {}
                // The kernel has no capability of this number, nor a higher one.
                Err(rustix::io::Errno::INVAL) => break,
                Err(error) => return Err(error).or_fail(Step::Capabilities),
            }
        }
        let locked = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        set_capabilities_secure_bits(locked).or_fail(Step::Capabilities)?;
    }
    clear_ambient_capability_set().or_fail(Step::Capabilities)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        },
    )
    .or_fail(Step::Capabilities)
}

/// Whether none is left.
pub(super) fn none_left() -> Result<bool, Failure> {
    let CapabilitySets {
        effective,
        permitted,
        inheritable,
    } = capabilities(None).or_fail(Step::ReadBack)?;
    Ok(effective.is_empty() && permitted.is_empty() && inheritable.is_empty())
}
