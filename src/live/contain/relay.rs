//! Where tools inside find their lab. A call goes on to the outside; before it, what was changed beside the tools goes to the lab, and after it,
//! what the lab has now shows in the files of the kernel.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};

use super::files::cover_link;
use super::knobs::Knobs;
use super::watch::Watch;
use super::{Failure, OWN, tried};
use crate::lab::machine::{self, TEXTS_OF_FILES, Toolbox};
use crate::lab::proc_files::FILES;
use crate::lab::request::{Request, Response};
use crate::live::control::frame::{self, Arrived};
use crate::live::control::{LONGEST_ANSWER, LONGEST_LINE, line_of, too_long};

/// The lab as the inside speaks to it.
pub(super) struct Upstream {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Upstream {
    pub(super) fn over(calls: UnixStream) -> io::Result<Self> {
        Ok(Self {
            writer: calls.try_clone()?,
            reader: BufReader::new(calls),
        })
    }

    pub(super) fn exchange(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        self.writer.write_all(frame)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Vec<u8>> {
        match frame::read(&mut self.reader, &mut Vec::new(), LONGEST_ANSWER)? {
            Arrived::Frame(answer) => Ok(answer),
            Arrived::Nothing => Err(io::ErrorKind::UnexpectedEof.into()),
            Arrived::TooLong => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Calls a tool of the lab.
    pub(super) fn call(&mut self, tool: &str, args: &[&str]) -> io::Result<Response> {
        let request = Request {
            tool: tool.to_owned(),
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            ..Request::default()
        };
        for part in frame::outgoing(&request)?.parts() {
            self.writer.write_all(part)?;
        }
        frame::answered(self.answer()?)
    }
}

/// What keeps the inside as the lab is. One call after the other, so that each sees what the one before it left.
struct Conversation {
    lab: Upstream,
    watch: Watch,
    knobs: Knobs,
    shown: Shown,
    /// Whether others speak to the lab, too.
    others: bool,
    /// What tools have to do with knobs, by their names.
    knobs_of: fn(&str) -> machine::Knobs,
}

impl Conversation {
    /// What was changed beside the tools. Links come first, since knobs are of links.
    fn carry_in(&mut self) -> io::Result<()> {
        self.watch.carry_in(&mut self.lab)?;
        match self.knobs.carry_in(&mut self.lab)? {
            true => self.watch.show_addresses_of_links(&mut self.lab),
            false => Ok(()),
        }
    }

    /// Carries a call: `exchange` with ours, or over a connection of its own.
    fn relay(
        &mut self,
        frame: &[u8],
        exchange: impl FnOnce(&mut Upstream) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>> {
        // What is no call is answered, and turns nothing.
        let of_the_call = tool_of(frame).map_or(machine::Knobs::Seen, |tool| (self.knobs_of)(&tool));
        // A lab of a thousand interfaces has ten thousand knobs: they are looked at where a call may see one, or packets of others may meet it,
        // and asked for where a call may have turned one.
        match self.others || of_the_call >= machine::Knobs::Seen {
            true => self.carry_in()?,
            false => self.watch.carry_in(&mut self.lab)?,
        }
        let answer = exchange(&mut self.lab)?;
        if of_the_call == machine::Knobs::Turned {
            self.knobs.carry_out(&mut self.lab)?;
            // `disable_ipv6` takes and gives them.
            self.watch.show_addresses_of_links(&mut self.lab)?;
        }
        self.shown.renew(&mut self.lab)?;
        Ok(answer)
    }

    /// What others did to a live lab.
    fn keep_up(&mut self) -> io::Result<()> {
        self.carry_in()?;
        self.knobs.carry_out(&mut self.lab)?;
        self.shown.renew(&mut self.lab)
    }
}

/// All that needs no thread yet.
pub(super) struct Ready {
    conversation: Conversation,
    listener: UnixListener,
    live: Option<OwnedFd>,
}

impl Ready {
    /// Brings the lab's knobs here, and opens the socket. `live` is the lab's socket, where each caller gets a connection of its own.
    pub(super) fn make(calls: UnixStream, live: Option<OwnedFd>, toolbox: Toolbox) -> Result<Self, Failure> {
        let mut lab = Upstream::over(calls).map_err(tried("speak to the lab"))?;
        let knobs = Knobs::bring(&mut lab).map_err(tried("bring the lab's sysctls"))?;
        let mut shown = Shown::make().map_err(tried("show the lab's files in /proc/net"))?;
        shown
            .renew(&mut lab)
            .map_err(tried("show the lab's files in /proc/net"))?;
        let watch = Watch::start(&mut lab).map_err(tried("watch the network"))?;
        let listener = UnixListener::bind(super::socket())
            .and_then(|listener| {
                // Whoever is inside, whatever user it has become, speaks to this lab.
                fs::set_permissions(super::socket(), Permissions::from_mode(0o666))?;
                Ok(listener)
            })
            .map_err(tried("listen for tools"))?;
        let others = is_live(&mut lab).map_err(tried("speak to the lab"))?;
        Ok(Self {
            conversation: Conversation {
                lab,
                watch,
                knobs,
                shown,
                others,
                knobs_of: toolbox.knobs,
            },
            listener,
            live,
        })
    }

    /// Answers from now on.
    pub(super) fn start(self) -> io::Result<Relay> {
        let Self {
            conversation,
            listener,
            live,
        } = self;
        let others = conversation.others;
        let conversation = Arc::new(Mutex::new(conversation));
        let relay = Relay(Arc::clone(&conversation));
        let attendance = Arc::new(Attendance {
            listener,
            live,
            conversation,
            waiting: AtomicUsize::new(1),
        });
        let conversation = Arc::clone(&relay.0);
        let age = move || {
            let mut took = Duration::ZERO;
            loop {
                // Where it takes long it is done as often as it is worth.
                std::thread::sleep(AGE.max(took * 50));
                let mut conversation = conversation.lock();
                let begun = Instant::now();
                let ages = conversation.shown.ages;
                let done = match (others, ages) {
                    (true, _) => conversation.keep_up(),
                    (false, true) => {
                        let conversation = &mut *conversation;
                        conversation.shown.renew(&mut conversation.lab)
                    }
                    (false, false) => Ok(()),
                };
                took = begun.elapsed();
                if done.is_err() {
                    return;
                }
            }
        };
        for started in [
            std::thread::Builder::new().spawn(move || attendance.attend()),
            std::thread::Builder::new().spawn(age),
        ] {
            started?;
        }
        Ok(relay)
    }
}

/// Threads that wait for callers and serve them: one call after another by the same one, since most are short.
struct Attendance {
    listener: UnixListener,
    live: Option<OwnedFd>,
    conversation: Arc<Mutex<Conversation>>,
    /// How many wait, whoever just asks itself included.
    waiting: AtomicUsize,
}

impl Attendance {
    fn attend(self: Arc<Self>) {
        loop {
            let Ok((stream, _)) = self.listener.accept() else {
                // No descriptor is left: one is once a call has ended.
                std::thread::sleep(BEFORE_ACCEPTING_AGAIN);
                continue;
            };
            if self.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                // Somebody has to wait meanwhile.
                self.waiting.fetch_add(1, Ordering::AcqRel);
                let other = Arc::clone(&self);
                if std::thread::Builder::new().spawn(move || other.attend()).is_err() {
                    // Where no thread can be had (ulimit -u), the call's connection is closed, which its tool tells.
                    continue;
                }
            }
            // Who hangs up has had what it wanted.
            let _ = match &self.live {
                Some(live) => serve_live(stream, live, &self.conversation),
                None => serve(stream, &self.conversation),
            };
            if self.waiting.fetch_add(1, Ordering::AcqRel) >= MOST_WAITING {
                self.waiting.fetch_sub(1, Ordering::AcqRel);
                return;
            }
        }
    }
}

const MOST_WAITING: usize = 4;
const BEFORE_ACCEPTING_AGAIN: Duration = Duration::from_millis(10);

pub(super) struct Relay(Arc<Mutex<Conversation>>);

impl Relay {
    /// COMMAND's last writes.
    pub(super) fn finish(&self) {
        // The lab may be gone, and then there is nobody to tell.
        let _ = self.0.lock().carry_in();
    }
}

fn serve(stream: UnixStream, conversation: &Mutex<Conversation>) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let frame = match frame::read(&mut reader, &mut Vec::new(), LONGEST_LINE)? {
            Arrived::Frame(frame) => frame,
            Arrived::Nothing => return Ok(()),
            Arrived::TooLong => return writer.write_all(&line_of(&too_long())),
        };
        let answer = conversation.lock().relay(&frame, |lab| lab.exchange(&frame))?;
        writer.write_all(&answer)?;
    }
}

/// Whether others speak to the lab, too.
fn is_live(lab: &mut Upstream) -> io::Result<bool> {
    #[derive(serde::Deserialize)]
    struct Told {
        live: bool,
    }
    let told: Told = serde_json::from_str(&lab.call("status", &[])?.stdout)?;
    Ok(told.live)
}

/// A lab has calls with many answers, which end when the connection does: so each caller gets one of its own.
fn serve_live(stream: UnixStream, live: &OwnedFd, conversation: &Mutex<Conversation>) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut lab = Upstream::over(UnixStream::connect(format!("/proc/self/fd/{}", live.as_raw_fd()))?)?;
    loop {
        // Whatever comes without having been asked for is for the caller.
        let more = lab.reader.buffer().to_vec();
        writer.write_all(&more)?;
        lab.reader.consume(more.len());
        if reader.buffer().is_empty() {
            let mut both = [
                PollFd::new(reader.get_ref(), PollFlags::IN),
                PollFd::new(lab.reader.get_ref(), PollFlags::IN),
            ];
            match poll(&mut both, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (asked, told) = (both[0].revents(), both[1].revents());
            if !told.is_empty() && lab.reader.fill_buf()?.is_empty() {
                return Ok(());
            }
            if asked.is_empty() {
                continue;
            }
        }
        let frame = match frame::read(&mut reader, &mut Vec::new(), LONGEST_LINE)? {
            Arrived::Frame(frame) => frame,
            Arrived::Nothing => return Ok(()),
            Arrived::TooLong => return writer.write_all(&line_of(&too_long())),
        };
        let answer = conversation.lock().relay(&frame, |_| lab.exchange(&frame))?;
        writer.write_all(&answer)?;
    }
}

/// The tool that is called.
fn tool_of(frame: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Called {
        tool: String,
    }
    let line = frame.split(|byte| *byte == b'\n').next()?;
    serde_json::from_slice::<Called>(line).ok().map(|called| called.tool)
}

/// Files of `/proc` whose text is the lab's: copies, renewed after each call.
struct Shown {
    files: Vec<(PathBuf, &'static str, String)>,
    /// There are flows, whose timeouts count down.
    ages: bool,
    /// When their list is asked for next.
    flows_due: Instant,
}

/// How old a timeout may look.
const AGE: Duration = Duration::from_secs(1);

/// Names in `/proc/net` of lists of what nobody here uses: empty inside.
const OF_ARP: &[&str] = &["arp_tables_names", "arp_tables_matches", "arp_tables_targets"];

/// What lies in `/proc/net`, or in a directory of it, and is the lab's.
fn in_net() -> impl Iterator<Item = &'static str> {
    let files = FILES.iter().filter_map(|file| file.path.strip_prefix("/proc/net/"));
    files.chain(OF_ARP.iter().copied())
}

/// Makes a directory, of `/proc/net` (`""`) or of one in it, in which all leads back to each process's own that is not the lab's.
fn lead_back(net: &Path, below: &str) -> io::Result<()> {
    let own = Path::new("/proc/self/net").join(below);
    DirBuilder::new().mode(0o755).create(net.join(below))?;
    let entries = match fs::read_dir(&own) {
        // A kernel without it: there is what the lab has.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let place = Path::new(below).join(&name);
        // The kernel's lists of netfilter tell of what nobody here uses.
        if !in_net().any(|it| Path::new(it).starts_with(&place)) {
            symlink(own.join(&name), net.join(&place))?;
        }
    }
    Ok(())
}

impl Shown {
    /// `/proc/net` is a link to each process's own; a link of ours lies over it, to a directory in which all else leads back there.
    fn make() -> io::Result<Self> {
        let own = Path::new(OWN);
        let (net, link) = (own.join("net"), own.join("proc-net"));
        lead_back(&net, "")?;
        symlink(&net, &link)?;
        let directories: BTreeSet<&str> = in_net().filter_map(|name| Some(name.rsplit_once('/')?.0)).collect();
        for directory in directories {
            lead_back(&net, directory)?;
        }
        let mut files: Vec<(PathBuf, &'static str, String)> =
            in_net().map(|name| (net.join(name), name, String::new())).collect();
        files.push((own.join("modules"), "modules", String::new()));
        for (path, ..) in &files {
            File::create(path)?;
        }
        cover_link(Path::new("/proc/net"), &link)?;
        if Path::new("/proc/modules").exists() {
            rustix::mount::mount_bind(own.join("modules"), "/proc/modules")?;
        }
        Ok(Self {
            files,
            ages: false,
            flows_due: Instant::now(),
        })
    }

    fn renew(&mut self, lab: &mut Upstream) -> io::Result<()> {
        // A list of a hundred thousand flows takes its time, and is looked at as often as it is worth.
        let begun = Instant::now();
        let flows_too = begun >= self.flows_due;
        let asked = |(_, name, _): &&mut (PathBuf, &'static str, String)| {
            !OF_ARP.contains(name) && (flows_too || !name.contains("conntrack"))
        };
        let mut files: Vec<_> = self.files.iter_mut().filter(asked).collect();
        let names: Vec<String> = files.iter().map(|(_, name, _)| proc_name(name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // One question, since each passes through four processes' hands.
        let answer = lab.call(TEXTS_OF_FILES, &names)?;
        // What the lab has no such file of is empty here.
        let texts: Vec<Option<String>> = serde_json::from_str(&answer.stdout)?;
        for ((path, name, text), now) in files.iter_mut().zip(texts) {
            let now = now.unwrap_or_default();
            if *name == "nf_conntrack" {
                self.ages = !now.is_empty();
            }
            if *text != now {
                fs::write(path, &now)?;
                *text = now;
            }
        }
        let took = begun.elapsed();
        if flows_too && took > LONG {
            self.flows_due = begun + took * 50;
        }
        Ok(())
    }
}

fn proc_name(name: &str) -> String {
    match name {
        "modules" => "/proc/modules".to_owned(),
        name => format!("/proc/net/{name}"),
    }
}

/// How long it may take to renew the files after each call.
const LONG: Duration = Duration::from_millis(20);
