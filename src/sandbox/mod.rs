//! What the program gives up before it serves anybody, whoever started it: capabilities, the way to
//! more privileges, being looked into, and by landlock (landlock(7)) every file, port and process that
//! it does not need. [`plan`] says what it needs.
//!
//! All of this is a thread's own, and inherited by the threads that it starts: so it comes before
//! there are others. Programs that are started later inherit it as well. Whatever needs more (a
//! wrapped program, a helper that is asked) is started by a process from before ([`crate::beside`]).

pub mod plan;

use std::fmt;

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::error::Failure;
use crate::log::Event;
use plan::Plan;

/// The newest landlock whose rights are all known here; the kernel may have less.
const KNOWN: ABI = ABI::V6;

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// No start without the walls around files.
    Enforce,
    /// As much as the kernel has.
    Try,
    /// Nothing.
    Off,
}

/// What the kernel holds up from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox(u8);

/// Lets nobody look into the process (ptrace(2), core dumps). Before the first key is read.
pub fn hide(wanted: Wanted) {
    if wanted != Wanted::Off {
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            log::warn!("cannot hide this process's memory: {error}");
        }
    }
}

/// Goes inside. Call it before there are threads, with everything open that `plan` does not name.
///
/// # Errors
/// [`Failure::Sandbox`] when it is to be enforced and cannot.
pub fn enter(wanted: Wanted, plan: &Plan) -> Result<Sandbox, Failure> {
    if wanted == Wanted::Off {
        return Ok(Sandbox(0));
    }
    let entered =
        drop_capabilities(plan).and_then(|()| restrict(plan).map_err(|it| it.to_string()));
    match entered {
        Ok(sandbox) if sandbox.has_files() => Ok(sandbox),
        otherwise => {
            let fault = otherwise.err().unwrap_or_else(|| {
                "the kernel has no landlock, or a filter of system calls forbids it".to_owned()
            });
            if wanted == Wanted::Enforce {
                log::error!(event = Event::SandboxRefused; "no sandbox: {fault}");
                return Err(Failure::Sandbox(format!(
                    "cannot start with --sandbox=enforce: {fault}; \
                     with --sandbox=try we would serve without"
                )));
            }
            log::warn!(event = Event::Sandbox, sandbox = "none"; "no sandbox: {fault}");
            Ok(Sandbox(0))
        }
    }
}

/// Does nothing where there are none: the call itself may be forbidden.
fn drop_capabilities(plan: &Plan) -> Result<(), String> {
    // A wrapped program may be another user's.
    let kept: &[Capability] = if plan.signal {
        &[Capability::CAP_KILL]
    } else {
        &[]
    };
    let cannot = |error| format!("capabilities cannot be dropped: {error}");
    // Ambient first: it needs the others.
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        let had = caps::read(None, set).map_err(cannot)?;
        let left: CapsHashSet = kept.iter().copied().filter(|it| had.contains(it)).collect();
        if had != left {
            caps::set(None, set, &left).map_err(cannot)?;
        }
    }
    Ok(())
}

fn restrict(plan: &Plan) -> Result<Sandbox, RulesetError> {
    let ports = plan.connect.iter().flatten();
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?;
    if plan.connect.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    if !plan.bind {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let scopes = if plan.signal {
        Scope::AbstractUnixSocket.into()
    } else {
        Scope::from_all(KNOWN)
    };
    let status = rules
        .scope(scopes)?
        .create()?
        .add_rules(path_beneath_rules(
            &plan.read,
            AccessFs::ReadFile | AccessFs::ReadDir,
        ))?
        .add_rules(path_beneath_rules(
            &plan.write,
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::Truncate,
        ))?
        .add_rules(path_beneath_rules(&plan.remove, AccessFs::RemoveFile))?
        .add_rules(
            ports.map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp))),
        )?
        .add_rules(
            // Of all ports, what stands for none.
            (plan.bind_source && !plan.bind)
                .then(|| Ok::<_, RulesetError>(NetPort::new(0, AccessNet::BindTcp))),
        )?
        .restrict_self()?;
    Ok(Sandbox(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.no_new_privs => {
            effective_abi as u8
        }
        _ => 0,
    }))
}

impl Sandbox {
    fn has_files(self) -> bool {
        self.0 >= ABI::V1 as u8
    }

    /// In a word or two, for the status line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self.0 {
            0 => "none",
            1..=3 => "files only",
            4 | 5 => "files and ports",
            _ => "full",
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sandbox {}", self.summary())?;
        if self.has_files() {
            let abi = self.0;
            write!(
                f,
                ": no capabilities, no new privileges, landlock ABI {abi}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};
    use std::net::SocketAddr;
    use std::thread;

    use socket2::{Domain, Socket, Type};

    use super::{Plan, Sandbox, restrict};

    /// Of a thread in the sandbox that `plan` describes: whether it may bind port 0, and another, and
    /// listen without either. `None` where the kernel does not judge it.
    fn binds(plan: Plan) -> Option<[io::Result<()>; 3]> {
        let inside = thread::spawn(move || {
            let sandbox = restrict(&plan).unwrap();
            let tcp = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let bind = |port| tcp().bind(&SocketAddr::from(([127, 0, 0, 1], port)).into());
            (sandbox, [bind(0), bind(61234), tcp().listen(1)])
        });
        let (sandbox, bound) = inside.join().unwrap();
        // An older kernel's landlock knows no ports.
        (sandbox.0 >= 4).then_some(bound)
    }

    #[test]
    fn to_connect_from_an_address_of_our_choice_opens_no_port_of_our_choice() {
        let plan = Plan {
            bind_source: true,
            ..Plan::default()
        };
        let Some([zero, chosen, unbound]) = binds(plan) else {
            return;
        };
        assert!(zero.is_ok() && unbound.is_ok(), "{zero:?} {unbound:?}");
        assert_eq!(chosen.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn otherwise_no_port_can_be_bound() {
        let Some([zero, ..]) = binds(Plan::default()) else {
            return;
        };
        assert_eq!(zero.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    /// Documentation/userspace-api/landlock.rst: TCP came with 4, scopes with 6.
    #[test]
    fn each_kernel_is_told_apart_by_what_it_holds_up() {
        for (abi, summary) in [
            (0, "none"),
            (1, "files only"),
            (3, "files only"),
            (4, "files and ports"),
            (6, "full"),
            (7, "full"),
        ] {
            assert_eq!(Sandbox(abi).summary(), summary);
        }
        let shown = "sandbox full: no capabilities, no new privileges, landlock ABI 7";
        assert_eq!(Sandbox(7).to_string(), shown);
    }
}
