//! A live lab without its router: what [`LiveLab::up`] makes, and [`down`](super::down::down) takes away.
//!
//! Each interface without hosts is a TUN in the current network namespace, with the interface's name and up; its kernel end has no address,
//! since the address of the lab file is the router's. Each host is a network namespace `LAB-HOST` with a TUN of its own, named as the
//! interface, that has the host's address and its default route; hosts of one interface see each other through a
//! `Segment`.
//!
//! Everything is written to the lab's state before it is made, so that `down` clears away what a killed lab left.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::down::{DownError, clear};
use super::event_loop::Port;
use super::mode::{Mode, UserNamespaceError, enter_user_namespace, probe};
use super::namespace::{Namespace, NamespaceError};
use super::netlink::{LinkIndex, Netlink, NetlinkError};
use super::place::{DeviceRecord, HostRecord, Lock, Place, State, StateError};
use super::privileges::Privileges;
use super::process::ProcessRecord;
use super::segment::{Segment, SegmentHost};
use crate::base::bytes::text_of_path;
use crate::base::{AddressMask, Family, InterfaceName};
use crate::device::{TunDevice, TunError};
use crate::lab::counters::InterfaceCounters;
use crate::lab::file::{Host, Interface, LabFile, LabNameError, check_lab_name};

/// Namespaces, devices and the control socket of a lab that is up. Dropping it takes it down; [`down`](Self::down) says how that went.
#[derive(Debug)]
pub struct LiveLab {
    name: String,
    place: Place,
    state: State,
    /// `None` once it is down.
    lock: Option<Lock>,
    /// True when a lab of this name had been killed, and what it left was cleared away first.
    pub cleared: bool,
}

/// Where and as what a lab comes up.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The lab file's name without its ending, unless given.
    pub name: Option<String>,
    pub place: Place,
    /// Whether [`enter_user_namespace`] was called.
    pub user_namespace: bool,
    /// Whether what a killed lab of this name had left was cleared away already.
    pub cleared: bool,
}

impl UpOptions {
    /// What this process can do for a lab of this name: as it is, or after entering a user namespace, which this does where it must. Call it
    /// before any thread is started.
    ///
    /// Who the user is, whom the place belongs to and what a killed lab left there is asked before: from inside a user namespace of its own a
    /// process is root, sees nobody else's number, and nothing of what is in another.
    pub fn prepare(name: &str) -> Result<Self, UpError> {
        let place = Place::own();
        place.check().map_err(|source| UpError::State {
            path: place.directory(name),
            source,
        })?;
        let cleared = clear_left_over(&place, name)?;
        let user_namespace = match probe() {
            Mode::Root => false,
            Mode::UserNamespace => enter_user_namespace().map(|()| true)?,
            Mode::None(reason) => return Err(UserNamespaceError::Neither { reason }.into()),
        };
        Ok(Self {
            name: Some(name.to_owned()),
            place,
            user_namespace,
            cleared,
        })
    }
}

/// Clears what killed labs left whose names are such; gives the names, and what kept one from being cleared. Those that run are left alone.
pub fn clear_killed(is_such: impl Fn(&str) -> bool) -> Vec<(String, Option<UpError>)> {
    let place = Place::own();
    let mut cleared = Vec::new();
    for name in place.labs().into_iter().filter(|name| is_such(name)) {
        match clear_left_over(&place, &name) {
            Ok(false) | Err(UpError::Running { .. }) => {}
            Ok(true) => cleared.push((name, None)),
            Err(error) => cleared.push((name, Some(error))),
        }
    }
    cleared
}

/// True where there was something.
fn clear_left_over(place: &Place, name: &str) -> Result<bool, UpError> {
    if !fs::exists(place.directory(name)).unwrap_or(false) {
        return Ok(false);
    }
    let lock = take_lock(place, name)?;
    let cleared = clear_before(place, name)?;
    let left = |source| UpError::LeftOver {
        name: name.to_owned(),
        source,
    };
    lock.remove().map_err(left)?;
    Ok(cleared)
}

fn take_lock(place: &Place, name: &str) -> Result<Lock, UpError> {
    let lock = place.lock(name).map_err(|source| UpError::State {
        path: place.directory(name),
        source,
    })?;
    match lock {
        Some(lock) => Ok(lock),
        None => {
            let pid = place.state(name).ok().flatten().map_or(0, |state| state.keeper.pid);
            Err(UpError::Running { name: name.into(), pid })
        }
    }
}

/// With the lock held. True where there was something.
fn clear_before(place: &Place, name: &str) -> Result<bool, UpError> {
    let left_over = place.state(name).map_err(|source| UpError::StateError {
        name: name.into(),
        directory: place.directory(name),
        source,
    })?;
    if let Some(state) = &left_over {
        clear(place, state).map_err(|source| UpError::LeftOver {
            name: name.into(),
            source,
        })?;
    }
    Ok(left_over.is_some())
}

impl LiveLab {
    /// Makes it all. The ports are in the order of the lab file's interfaces; with the listener they go into an
    /// [`EventLoop`](super::event_loop::EventLoop). On an error nothing is left.
    pub fn up(file: &LabFile, options: &UpOptions) -> Result<(Self, Vec<Port>, UnixListener), UpError> {
        let (lab, mut workers, listener) = Self::up_for(file, options, 1)?;
        Ok((lab, workers.pop().unwrap_or_default(), listener))
    }

    /// The same for so many workers (1 to [`MOST_WORKERS`](crate::lab::file::MOST_WORKERS)): a list of ports for each, all of the same interfaces, for a loop
    /// of its own. Where the kernel has one queue for a device, the first worker reads it.
    pub fn up_for(
        file: &LabFile,
        options: &UpOptions,
        workers: usize,
    ) -> Result<(Self, Vec<Vec<Port>>, UnixListener), UpError> {
        let name = match &options.name {
            Some(name) => check_lab_name(name).map(|()| name.clone())?,
            None => file.lab_name()?,
        };
        let place = &options.place;
        let directory = place.directory(&name);
        let state_error = |source| UpError::State {
            path: directory.clone(),
            source,
        };
        let lock = take_lock(place, &name)?;
        let cleared = clear_before(place, &name)?;
        let mut lab = Self {
            state: State::default(),
            lock: Some(lock),
            cleared: options.cleared || cleared,
            place: place.clone(),
            name,
        };
        let planned = lab.plan(file, options)?;
        lab.state = planned;
        lab.save().map_err(state_error)?;
        let ports = lab.make(file, workers.max(1))?;
        lab.save().map_err(state_error)?;
        let listener = lab.listen().map_err(|source| UpError::State {
            path: place.socket(&lab.name),
            source,
        })?;
        Ok((lab, ports, listener))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The control socket: what `NFLAB` is set to for programs in the lab.
    pub fn socket(&self) -> PathBuf {
        self.place.socket(&self.name)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where messages go that no terminal takes.
    pub fn log(&self) -> io::Result<fs::File> {
        match &self.lock {
            Some(lock) => lock.log(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Writes down who the router is.
    pub fn set_router(&mut self, pid: i32, privileges: Privileges) -> io::Result<()> {
        self.state.router = ProcessRecord::of(pid);
        self.state.privileges = Some(privileges);
        self.save()
    }

    /// Removes all that `up` made but the lab's directory, so that its log can still be read; a later `down` removes that.
    pub fn leave_log(mut self) -> Result<(), DownError> {
        let cleared = clear(&self.place, &self.state).map_err(|source| DownError::Left {
            name: self.name.clone(),
            source,
        });
        // Given up only now: whoever gets it next may make all of it anew.
        self.lock = None;
        cleared
    }

    /// The network namespace of a host.
    pub fn host(&self, name: &str) -> Option<Namespace> {
        let host = self.state.hosts.iter().find(|host| host.name == name)?;
        Some(Namespace::at(&host.namespace))
    }

    /// Ends what still runs in the hosts, and removes all that `up` made. Drop the event loop (and with it the devices) before.
    pub fn down(mut self) -> Result<(), DownError> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<(), DownError> {
        let Some(lock) = self.lock.take() else {
            return Ok(());
        };
        let cleared = clear(&self.place, &self.state);
        // The directory goes only when all else is gone: it is what a later `down` would need.
        cleared.and_then(|()| lock.remove()).map_err(|source| DownError::Left {
            name: self.name.clone(),
            source,
        })
    }

    /// What will be made; whatever is in the way shows here, so that nothing of somebody else's gets into the state.
    fn plan(&self, file: &LabFile, options: &UpOptions) -> Result<State, UpError> {
        let namespaces = options.place.namespaces(&self.name, options.user_namespace);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut state = State {
            lab: self.name.clone(),
            keeper: ProcessRecord::own(),
            since: since.unwrap_or_default().as_secs(),
            file: file.source.name.clone(),
            user_namespace: options.user_namespace,
            ..State::default()
        };
        for host in &file.hosts {
            let path = namespaces.join(format!("{}-{}", self.name, host.name));
            if fs::exists(&path).unwrap_or(false) {
                return Err(NamespaceError::Exists { path }.into());
            }
            state.hosts.push(HostRecord {
                name: host.name.clone(),
                interface: host.interface.to_string(),
                namespace: path,
                identity: None,
            });
        }
        let mut netlink = Netlink::open().map_err(UpError::Netlink)?;
        for interface in file
            .interfaces
            .iter()
            .filter(|it| file.hosts_of(it.name).next().is_none())
        {
            let name = interface.name.to_string();
            if netlink.index(&name)?.is_some() {
                return Err(TunError::Exists { name }.into());
            }
            state.devices.push(DeviceRecord { name, index: None });
        }
        Ok(state)
    }

    fn make(&mut self, file: &LabFile, workers: usize) -> Result<Vec<Vec<Port>>, UpError> {
        let mut of_workers: Vec<Vec<Port>> = (0..workers).map(|_| Vec::new()).collect();
        for interface in &file.interfaces {
            let hosts: Vec<&Host> = file.hosts_of(interface.name).collect();
            let segment = (!hosts.is_empty()).then(|| segment(file, &hosts));
            for ports in &mut of_workers {
                ports.push(Port {
                    name: interface.name,
                    devices: Vec::new(),
                    segment: segment.clone(),
                    counters: Arc::default(),
                });
            }
            let mut add = |queues: Vec<TunDevice>| {
                for (ports, queue) in of_workers.iter_mut().zip(queues) {
                    if let Some(port) = ports.last_mut() {
                        port.devices.push(Box::new(queue));
                    }
                }
            };
            if hosts.is_empty() {
                add(self.make_device(interface, workers)?);
            }
            for host in &hosts {
                add(self.make_host(interface, host, workers)?);
            }
        }
        Ok(of_workers)
    }

    fn make_device(&mut self, interface: &Interface, workers: usize) -> Result<Vec<TunDevice>, UpError> {
        let name = interface.name.as_str();
        let queues = open(interface, workers)?;
        let mut netlink = Netlink::open().map_err(UpError::Netlink)?;
        let index = netlink
            .index(name)?
            .ok_or_else(|| UpError::Vanished { name: name.into() })?;
        if let Some(record) = self.state.devices.iter_mut().find(|record| record.name == name) {
            record.index = Some(index);
        }
        quieten(name)?;
        netlink.set_mtu(index, interface.mtu)?;
        netlink.set_queue_length(index, QUEUE_LENGTH)?;
        leave_out_queueing(&mut netlink, index);
        netlink.set_up(index)?;
        Ok(queues)
    }

    fn make_host(&mut self, interface: &Interface, host: &Host, workers: usize) -> Result<Vec<TunDevice>, UpError> {
        let Some(record) = self.state.hosts.iter_mut().find(|record| record.name == host.name) else {
            return Err(UpError::Vanished {
                name: host.name.clone(),
            });
        };
        let path = &record.namespace;
        let (directory, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
        let namespace = Namespace::create(directory, name)?;
        record.identity = Some(namespace.identity().map_err(UpError::Netlink)?);
        namespace
            .run(|| furnish(interface, host, workers))
            .map_err(UpError::Netlink)?
    }

    fn save(&self) -> io::Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.write_state(&self.state))
    }

    fn listen(&self) -> io::Result<UnixListener> {
        let path = self.socket();
        // A killed lab's socket is a file that nobody answers at.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }
}

impl Drop for LiveLab {
    fn drop(&mut self) {
        // Nobody is left to tell; `down` by hand finds the state where this failed.
        let _ = self.take_down();
    }
}

/// What each interface counts, for who looks from outside of the event loops.
pub fn counters(of_workers: &[Vec<Port>]) -> Vec<(InterfaceName, InterfaceCounters)> {
    let Some((first, _)) = of_workers.split_first() else {
        return Vec::new();
    };
    let interfaces = first.iter().enumerate().map(|(at, port)| {
        let of_interface = || of_workers.iter().filter_map(|ports| ports.get(at));
        let is_read = |port: &&Port| port.devices.iter().all(|device| !device.is_only_written());
        let offloads = port.devices.first().map(|device| device.offloads());
        let counters = InterfaceCounters {
            offloads: offloads.unwrap_or_default().names().collect(),
            queues: of_interface().filter(is_read).count(),
            of_workers: of_interface().map(|port| Arc::clone(&port.counters)).collect(),
        };
        (port.name, counters)
    });
    interfaces.collect()
}

/// The interfaces of which some workers have no queue, each with why its first such device has none.
pub fn without_queues(of_workers: &[Vec<Port>]) -> Vec<(InterfaceName, &io::Error)> {
    let ports = of_workers.first().map_or(0, Vec::len);
    let why = |at: usize| {
        let of_interface = of_workers.iter().filter_map(|ports| ports.get(at));
        of_interface
            .flat_map(|port| port.devices.iter().map(move |device| (port.name, device)))
            .find_map(|(name, device)| Some((name, device.only_written_because()?)))
    };
    (0..ports).filter_map(why).collect()
}

fn open(interface: &Interface, workers: usize) -> Result<Vec<TunDevice>, TunError> {
    TunDevice::open_queues(interface.name.as_str(), interface.offload, workers)
}

/// What a host sends goes to its device at once, as on a veth: the queue of the device itself is long enough. Of a device that may have several queues
/// the kernel would make 256 disciplines, which take 12 MB (seen on 6.18). Where it doesn't, packets pass as well.
fn leave_out_queueing(netlink: &mut Netlink, index: LinkIndex) {
    let _ = netlink.leave_out_queueing(index);
}

/// Sets up a host, from a thread inside its namespace.
fn furnish(interface: &Interface, host: &Host, workers: usize) -> Result<Vec<TunDevice>, UpError> {
    let name = interface.name.as_str();
    let mut netlink = Netlink::open().map_err(UpError::Netlink)?;
    quieten("default")?;
    // So that `ping` without privileges works in a host. A user namespace knows only the groups that are mapped into it, and refuses more.
    set_sysctl("net/ipv4/ping_group_range", "0 2147483647")
        .or_else(|_| set_sysctl("net/ipv4/ping_group_range", "0 0"))?;
    let queues = open(interface, workers)?;
    let index = netlink
        .index(name)?
        .ok_or_else(|| UpError::Vanished { name: name.into() })?;
    netlink.set_loopback_up()?;
    netlink.set_mtu(index, interface.mtu)?;
    netlink.set_queue_length(index, QUEUE_LENGTH)?;
    leave_out_queueing(&mut netlink, index);
    for address in &host.addresses {
        netlink.add_address(index, address.address, address.prefix_length)?;
    }
    netlink.set_up(index)?;
    for gateway in &host.gateways {
        netlink.add_route(AddressMask::any(Family::of(*gateway)), &[(Some(*gateway), index, 1)])?;
    }
    Ok(queues)
}

/// Keeps the kernel from talking by itself as soon as a device is up: no link-local address, so no router solicitation and no report of
/// groups, before anybody asked.
fn quieten(device: &str) -> Result<(), UpError> {
    for (key, value) in [
        ("accept_ra", "0"),
        ("autoconf", "0"),
        ("router_solicitations", "0"),
        ("addr_gen_mode", "1"),
    ] {
        set_sysctl(&format!("net/ipv6/conf/{device}/{key}"), value)?;
    }
    Ok(())
}

/// `/proc/sys/net` shows the namespace of the thread that opens it. A kernel without IPv6 has no such file, and needs none.
fn set_sysctl(key: &str, value: &str) -> Result<(), UpError> {
    let path = Path::new("/proc/sys").join(key);
    match fs::write(&path, value) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(UpError::Sysctl { path, source }),
        _ => Ok(()),
    }
}

fn segment(file: &LabFile, hosts: &[&Host]) -> Segment {
    let described = hosts.iter().map(|host| SegmentHost {
        addresses: host.addresses.iter().map(|it| (it.address, it.subnet())).collect(),
    });
    let routes: Vec<_> = file
        .routes
        .iter()
        .flat_map(|route| route.hops.iter().filter_map(|hop| Some((route.to, hop.via?))))
        .collect();
    Segment::new(described.collect(), &routes)
}

/// With the 500 that a TUN has by itself, one fast TCP stream loses some thousand packets in half a gigabyte before the router reads them, and
/// none with this: a lab should lose what its rules drop, and nothing else.
const QUEUE_LENGTH: u32 = 2000;
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    #[error(transparent)]
    Name(#[from] LabNameError),
    #[error("lab {name:?} runs already (process {pid}), and was left as it is: `nflab down {name}` ends it")]
    Running { name: String, pid: i32 },
    #[error("lab {name:?} was killed earlier, and what it left cannot be removed: {source}")]
    LeftOver { name: String, source: io::Error },
    #[error(
        "lab {name:?} was here earlier, and what it left is not known: {source}; look for its namespaces ({name}-...) in /run/netns, then remove {}",
        text_of_path(directory)
    )]
    StateError {
        name: String,
        directory: PathBuf,
        source: StateError,
    },
    #[error(transparent)]
    UserNamespace(#[from] UserNamespaceError),
    #[error(transparent)]
    Tun(#[from] TunError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Link(#[from] NetlinkError),
    #[error("no netlink: {0}")]
    Netlink(io::Error),
    #[error(
        "cannot write {}: {source}; a lab keeps its lock, state and control socket there: in /run/nflab as root, else under XDG_RUNTIME_DIR, /run/user/UID or /tmp",
        text_of_path(path)
    )]
    State { path: PathBuf, source: io::Error },
    #[error("cannot set {}: {source}{}", text_of_path(path), sysctl_remedy(source))]
    Sysctl { path: PathBuf, source: io::Error },
    #[error("{name:?} went away while it was set up: does something else manage network devices here?")]
    Vanished { name: String },
}

fn sysctl_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; in a container, /proc/sys must be writable for the lab"
        }
        _ if error.raw_os_error() == Some(libc::EMFILE) => {
            "; a lab needs a descriptor for each interface and host: `ulimit -n` says how many there may be"
        }
        _ => "",
    }
}
