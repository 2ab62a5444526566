//! The program that the tests start and kill: a live lab whose router only relays.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nflab::base::Time;
use nflab::device::syscall::termination_signals;
use nflab::lab::file::LabFile;
use nflab::lab::request::{Request, Response};
use nflab::live::clock::Clock;
use nflab::live::event_loop::{Carried, Driver, EventLoop, Out, PortIndex};
use nflab::live::exec;
use nflab::live::mode::{enter_user_namespace, probe};
use nflab::live::place::Place;
use nflab::live::server::{Admitted, Bounds, Server};
use nflab::live::up::{LiveLab, UpOptions};

/// `up PLACE LAB.toml [user]`, or `exec PLACE LAB HOST COMMAND...`.
pub(super) fn main(args: &[String]) -> i32 {
    match args {
        [verb, place, file, rest @ ..] if verb == "up" => up(&Place::at(place), Path::new(file), !rest.is_empty()),
        [verb, place, lab, host, command, rest @ ..] if verb == "exec" => {
            let running = Place::at(place).running();
            let Some(lab) = running.iter().find(|running| running.name == *lab) else {
                eprintln!("no lab {lab}");
                return 4;
            };
            let rest: Vec<OsString> = rest.iter().map(OsString::from).collect();
            let error = exec::exec(lab, host, "", command.as_ref(), &rest);
            eprintln!("{error}");
            error.exit_code()
        }
        _ => 2,
    }
}

fn up(place: &Place, file: &Path, user_namespace: bool) -> i32 {
    let signals = termination_signals().expect("signalfd");
    // Probing starts a thread, which must not be in the way of what follows.
    let _ = probe();
    if user_namespace && let Err(error) = enter_user_namespace() {
        eprintln!("{error}");
        return 3;
    }
    let file = LabFile::load(file, nflab::device::text_file::read_bytes).expect("a good lab file");
    let options = UpOptions {
        name: None,
        place: place.clone(),
        user_namespace,
        cleared: false,
    };
    let (lab, ports, listener) = match LiveLab::up(&file, &options) {
        Ok(made) => made,
        Err(error) => {
            eprintln!("{error}");
            return 3;
        }
    };
    let relay = Relay::new(&file);
    let server = relay.serve(listener);
    let mut event_loop = EventLoop::new(relay, ports, Clock::new(), Some(signals)).expect("event loop");
    println!("up");
    let stopped = event_loop.run().expect("epoll");
    drop((event_loop, server));
    lab.down().expect("down");
    println!("{stopped:?}");
    0
}

/// Forwards IPv4 by the destination's interface, answers nothing, and keeps no state.
pub(super) struct Relay {
    routes: Vec<(nflab::base::AddressMask, PortIndex)>,
    counts: Arc<Mutex<BTreeMap<u16, u64>>>,
}

impl Relay {
    /// Tells at the control socket what it was asked, and how many packets came by each interface.
    pub(super) fn serve(&self, listener: UnixListener) -> Server {
        let counts = Arc::clone(&self.counts);
        let answer = move |request: Request| Response {
            stdout: format!("{} {:?}\n", request.tool, counts.lock().unwrap()),
            ..Response::default()
        };
        Server::start(listener, Admitted::default(), Bounds::default(), |_| answer).expect("a server")
    }

    pub(super) fn new(file: &LabFile) -> Self {
        let routes = file.interfaces.iter().enumerate().flat_map(|(index, interface)| {
            let port = PortIndex(index as u16);
            interface.addresses.iter().map(move |address| (address.subnet(), port))
        });
        Self {
            routes: routes.collect(),
            counts: Arc::default(),
        }
    }
}

impl Driver for Relay {
    fn packet(&mut self, _: Time, port: PortIndex, packet: Carried<'_>, out: &mut Out<'_>) {
        *self.counts.lock().unwrap().entry(port.0).or_default() += 1;
        let bytes = &packet.bytes[..];
        let destination: Option<IpAddr> = match bytes.first().map(|first| first >> 4) {
            Some(4) if bytes.len() >= 20 => Some(<[u8; 4]>::try_from(&bytes[16..20]).unwrap().into()),
            Some(6) if bytes.len() >= 40 => Some(<[u8; 16]>::try_from(&bytes[24..40]).unwrap().into()),
            _ => None,
        };
        let route = destination.and_then(|to| self.routes.iter().find(|(subnet, _)| subnet.contains(to)));
        if let Some((_, to)) = route {
            out(*to, packet);
        }
    }

    fn tick(&mut self, _: Time, _: &mut Out<'_>) {}
}
