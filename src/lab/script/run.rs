//! Doing what a script says, statement by statement.

use std::borrow::BorrowMut;
use std::net::IpAddr;
use std::path::PathBuf;

use super::hints;
use super::trace::{self, Which};
use super::{Input, Kind, OWN_WORDS, QueueWord, RouteWord, Statement, ToolCall};
use crate::base::bytes::{os_of, text_of_path};
use crate::base::{Family, InterfaceName};
use crate::engine::{Fate, Port, QueueVerdict};
use crate::explain::describe;
use crate::explain::story::Detail;
use crate::lab::conversation::{Conversation, Conversations, Hosts, Party, Service};
use crate::lab::machine::ToolOutput;
use crate::lab::memory::{LOCAL, Lab, Passage};
use crate::lab::send::{self, Draft, Surroundings};
use crate::net::Route;
use crate::packet::Packet;

/// A lab, its own or one that is lent, and what was said last.
#[derive(Debug)]
pub struct Runner<L = Lab> {
    /// What statements are done to.
    pub lab: L,
    /// How much is told after a `send`; `None`: nothing.
    pub tells: Option<Detail>,
    /// Stories come in colours.
    pub styled: bool,
    /// Files that a script names are relative to this.
    directory: PathBuf,
    last_tool: Option<ToolOutput>,
    /// Hosts that have a name, for those who read lines one at a time.
    pub hosts: Hosts,
    conversations: Conversations,
}

/// What a runner remembers from line to line.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    last_tool: Option<ToolOutput>,
    pub(crate) hosts: Hosts,
    conversations: Conversations,
}

/// What a statement prints.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Said {
    /// What a tool printed, or what became of packets.
    pub stdout: String,
    /// What a tool said of an error, with advice behind it.
    pub stderr: String,
}

/// Why a statement failed, in a sentence that follows its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Without a full stop; of an expectation it says what is instead.
    pub reason: String,
}

impl<L: BorrowMut<Lab>> Runner<L> {
    /// With an empty past; what scripts name is looked for in this directory.
    pub fn new(lab: L, directory: PathBuf) -> Self {
        Self {
            lab,
            tells: Some(Detail::Short),
            styled: false,
            directory,
            last_tool: None,
            hosts: Hosts::default(),
            conversations: Conversations::default(),
        }
    }

    /// Goes on where another one stopped, whose directory is not this one's.
    pub(crate) fn resume(lab: L, talk: Talk) -> Self {
        Self {
            last_tool: talk.last_tool,
            hosts: talk.hosts,
            conversations: talk.conversations,
            ..Self::new(lab, PathBuf::new())
        }
    }

    /// What the next one needs to go on.
    pub(crate) fn pause(self) -> Talk {
        Talk {
            last_tool: self.last_tool,
            hosts: self.hosts,
            conversations: self.conversations,
        }
    }

    /// Does one statement. What it printed is there in either case.
    pub fn run(&mut self, statement: &Statement) -> (Said, Result<(), Failed>) {
        let mut said = Said::default();
        let result = self.perform(statement, &mut said).map_err(|reason| Failed { reason });
        (said, result)
    }

    fn perform(&mut self, statement: &Statement, said: &mut Said) -> Result<(), String> {
        match &statement.kind {
            Kind::Tool(call) => {
                let (output, by) = self.call(call)?;
                said.stdout.push_str(&output.stdout);
                said.stderr.push_str(&output.stderr);
                if !output.advice.is_empty() {
                    said.stderr.push_str(&output.advice);
                }
                let code = output.code;
                self.last_tool = Some(output);
                match code {
                    0 => Ok(()),
                    code => Err(format!("{by} failed with exit code {code}")),
                }
            }
            Kind::ExpectFail(call) => {
                let (output, _) = self.call(call)?;
                let code = output.code;
                self.last_tool = Some(output);
                match code {
                    0 => Err(format!("{} was expected to fail, and did not", call.name)),
                    _ => Ok(()),
                }
            }
            Kind::ExpectRefused(kind) => {
                let inner = Statement {
                    position: statement.position,
                    kind: Kind::clone(kind),
                };
                match self.perform(&inner, said) {
                    Ok(()) => Err("it was expected to fail, and did not".to_owned()),
                    Err(_) => Ok(()),
                }
            }
            Kind::Host => Ok(()),
            Kind::Converse(conversation) => self.converse(conversation, said),
            Kind::ExpectFailed(conversation) => match self.converse(conversation, said) {
                Ok(()) => Err(format!(
                    "`{}` was expected to fail, and came through",
                    conversation.word()
                )),
                Err(_) => Ok(()),
            },
            Kind::Interface { name, addresses } => self
                .lab
                .borrow_mut()
                .add_interface(*name, addresses)
                .map_err(|error| error.to_string()),
            Kind::Route(word) => self.route(word, said),
            Kind::Listen { protocol, port } => {
                self.lab.borrow_mut().listen(*protocol, *port);
                Ok(())
            }
            Kind::Send {
                interface,
                draft,
                detail,
            } => {
                let (tells, styled) = (detail.or(self.tells), self.styled);
                let passage = self.send(*interface, draft)?;
                tell(passage, tells, styled, said);
                if tells.is_some()
                    && let Some(passage) = self.lab.borrow().last()
                {
                    said.stdout.push_str(&hints::of_sent(self.lab.borrow(), passage));
                }
                Ok(())
            }
            Kind::Queue(word) => self.queue(word, said),
            Kind::Sender(sender) => {
                self.lab.borrow_mut().sender = sender.clone();
                Ok(())
            }
            Kind::Advance(by) => {
                for emission in self.lab.borrow_mut().advance(*by) {
                    let name = self.lab.borrow_mut().port_name(emission.port);
                    let line = describe::line(&emission.bytes);
                    said.stdout.push_str(&format!("out by {name}: {line}\n"));
                }
                Ok(())
            }
            Kind::Profile {
                profile,
                window_tracking,
            } => {
                let machine = &self.lab.borrow().machine;
                machine.set_profile(*profile);
                match window_tracking {
                    true => machine
                        .set_sysctl("nflab.window_tracking", "1")
                        .map_err(|error| error.to_string()),
                    false => Ok(()),
                }
            }
            Kind::Expect(expectation) => expectation.check(self.lab.borrow(), self.last_tool.as_ref()),
            Kind::Trace(asked) => {
                if let Which::Sent(interface, draft) = &asked.packet {
                    self.send(*interface, draft)?;
                }
                let passage = match &asked.packet {
                    Which::Earlier(number) => self.lab.borrow().earlier(*number)?,
                    _ => self.lab.borrow().last().ok_or("no packet has been sent yet")?,
                };
                let told = trace::tell(&asked.form, passage, self.lab.borrow(), &self.directory, self.styled)?;
                said.stdout.push_str(&told);
                Ok(())
            }
            Kind::Lab => {
                said.stdout.push_str(&describe_lab(self.lab.borrow()));
                Ok(())
            }
            Kind::Learn(_) => Err(
                "a lesson is for somebody who types: `nflab learn` opens one, and so does `learn` in `nflab repl`"
                    .to_owned(),
            ),
            Kind::Help(topic) => {
                said.stdout
                    .push_str(&help(topic.as_deref(), self.lab.borrow_mut().machine.toolbox().names)?);
                Ok(())
            }
        }
    }

    /// Sends the first packet of a service.
    pub(crate) fn knock(&mut self, from: &Party, to: &Party, service: Service) -> Result<(), Failed> {
        self.conversations
            .knock(self.lab.borrow_mut(), from, to, service)
            .map_err(|reason| Failed { reason })
    }

    /// Each packet with what became of it: a line, or its whole story.
    fn converse(&mut self, conversation: &Conversation, said: &mut Said) -> Result<(), String> {
        let tells = self.tells;
        let mut tell = |lab: &Lab, passage: &Passage| match tells {
            None => {}
            Some(detail) => {
                said.stdout.push_str(&match detail {
                    Detail::Short => passage_line(lab, passage),
                    Detail::Whole => passage.story.render(detail),
                });
                said.stdout.push_str(&hints::of(lab, passage));
            }
        };
        self.conversations.play(self.lab.borrow_mut(), conversation, &mut tell)
    }

    /// What it printed and where that went, and the program whose exit code it is.
    fn call(&mut self, call: &ToolCall) -> Result<(ToolOutput, &'static str), String> {
        let stdin = match &call.input {
            Input::None => String::new(),
            Input::Here(text) => text.clone(),
            Input::File(word) => self.read(&word.text)?,
        };
        let lab = self.lab.borrow_mut();
        let mut output = lab.tool(call.name, &call.args, &stdin, &self.directory);
        let opener = lab.machine.toolbox().opener;
        let by = if output.code == 0 { "grep" } else { call.name };
        call.output.take(opener, &self.directory, &mut output)?;
        Ok((output, by))
    }

    fn read(&self, name: &str) -> Result<String, String> {
        let path = self.directory.join(os_of(name));
        let opener = self.lab.borrow().machine.toolbox().opener;
        opener
            .read(&path)
            .map_err(|error| format!("cannot read {}: {error}", text_of_path(&path)))
    }

    /// Sends a packet as `send` does.
    pub fn send(&mut self, interface: Option<InterfaceName>, draft: &Draft) -> Result<&Passage, String> {
        let id = match interface {
            None => None,
            Some(name) => Some(self.lab.borrow_mut().interface(name.as_str()).ok_or_else(|| {
                let names: Vec<String> = self
                    .lab
                    .borrow_mut()
                    .interface_names()
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                format!(
                    "the lab has no interface {name}: it has {}, and `local`",
                    names.join(", ")
                )
            })?),
        };
        let surroundings = Seen {
            lab: self.lab.borrow(),
            port: id.map_or(Port::Local, Port::Interface),
        };
        let bytes = send::build(draft, &surroundings).map_err(|error| error.to_string())?;
        Ok(self.lab.borrow_mut().send(id, bytes))
    }

    fn queue(&mut self, word: &QueueWord, said: &mut Said) -> Result<(), String> {
        let nobody = |number| format!("nobody listens at queue {number}: `queue {number} open` does");
        let is_open = |lab: &Lab, number| lab.machine.router().open_queues().iter().any(|it| it.number == number);
        match word {
            QueueWord::Show(number) => {
                said.stdout.push_str(&queues(self.lab.borrow(), *number));
                match number {
                    Some(number) if !is_open(self.lab.borrow(), *number) => Err(nobody(number)),
                    _ => Ok(()),
                }
            }
            QueueWord::Open { number, settings } => {
                let opened = self.lab.borrow().machine.router().listen_queue(*number, *settings);
                opened.map_err(|error| format!("{error}: `queue {number} close` ends that"))
            }
            QueueWord::Close(number) => {
                let closed = self.lab.borrow().machine.router().close_queue(*number);
                closed.map(|_| ()).ok_or_else(|| nobody(number))
            }
            QueueWord::Decide {
                number,
                kind,
                mark,
                packet,
            } => {
                if !is_open(self.lab.borrow(), *number) {
                    return Err(nobody(number));
                }
                let bytes = match packet {
                    None => None,
                    Some(draft) => {
                        let surroundings = Seen {
                            lab: self.lab.borrow(),
                            port: Port::Local,
                        };
                        Some(send::build(draft, &surroundings).map_err(|error| error.to_string())?)
                    }
                };
                let verdict = QueueVerdict {
                    kind: *kind,
                    mark: *mark,
                    bytes,
                };
                let (tells, styled) = (self.tells, self.styled);
                let passage = self.lab.borrow_mut().decide(*number, verdict);
                tell(
                    passage.ok_or_else(|| format!("nothing waits at queue {number}"))?,
                    tells,
                    styled,
                    said,
                );
                Ok(())
            }
        }
    }

    fn route(&mut self, word: &RouteWord, said: &mut Said) -> Result<(), String> {
        match word {
            RouteWord::Show => {
                said.stdout.push_str(&routes(self.lab.borrow()));
                Ok(())
            }
            RouteWord::Remove(to) => self
                .lab
                .borrow_mut()
                .remove_route(*to)
                .map_err(|error| error.to_string()),
            RouteWord::Add { to, via, interface } => {
                let interface = match interface {
                    None => None,
                    Some(name) => Some(
                        self.lab
                            .borrow()
                            .interface(name.as_str())
                            .ok_or_else(|| format!("the lab has no interface {name}"))?,
                    ),
                };
                let route = Route {
                    via: *via,
                    interface,
                    ..Route::new(*to)
                };
                self.lab
                    .borrow_mut()
                    .add_route(route)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// What became of a packet, in as many words as are wanted.
fn tell(passage: &Passage, detail: Option<Detail>, styled: bool, said: &mut Said) {
    let Some(detail) = detail else { return };
    said.stdout.push_str(&match styled {
        true => passage.story.render_styled(detail),
        false => passage.story.render(detail),
    });
}

/// A queue with what waits there: `queue 0: 1 of at most 1024 waiting, 0 dropped`, then a line a packet.
fn queues(lab: &Lab, number: Option<u16>) -> String {
    let router = lab.machine.router();
    let mut text = String::new();
    for queue in router.open_queues() {
        if number.is_some_and(|number| number != queue.number) {
            continue;
        }
        text.push_str(&format!(
            "queue {}: {} of at most {} waiting, {} dropped{}\n",
            queue.number,
            queue.waiting,
            queue.settings.maximum,
            queue.dropped,
            if queue.settings.fail_open { ", fail-open" } else { "" },
        ));
        for held in router.held_packets(queue.number, 0) {
            let (hook, line) = (held.hook.chain(), describe::line(&held.bytes));
            let mark = match held.mark {
                0 => String::new(),
                mark => format!(" mark {mark:#x}"),
            };
            text.push_str(&format!("  {} {hook}{mark} {line}\n", held.id));
        }
    }
    text
}

/// What a packet may go by in a lab.
struct Seen<'a> {
    lab: &'a Lab,
    port: Port,
}

impl Surroundings for Seen<'_> {
    fn next_sequence(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u32> {
        self.lab.next_sequence(from, to)
    }

    fn acknowledged(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u32> {
        self.lab.acknowledged(from, to)
    }

    fn window(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u16> {
        self.lab.window(from, to)
    }

    fn departed(&self) -> Option<Vec<u8>> {
        self.lab.departed(self.port).map(<[u8]>::to_vec)
    }
}

/// `3: lan   tcp 10.0.0.2:40000 > 192.0.2.9:80 S  NEW  ->  wan tcp 192.0.2.1:40000 > 192.0.2.9:80 S`: its number, for `trace 3`, and its state as
/// rules see it.
fn passage_line(lab: &Lab, passage: &Passage) -> String {
    let from = passage.interface.map_or(LOCAL.to_owned(), |name| name.to_string());
    let whole = |bytes: &[u8]| format!("{}{}", describe::brief(bytes), payload(bytes));
    let mut line = format!("{}: {from:<5} {}", passage.story.number(), whole(&passage.sent));
    if let Some(state) = passage.report.state {
        line.push_str(&format!("  {}", state.name()));
    }
    if let Fate::Stopped(reason) = &passage.report.fate {
        line.push_str(&format!("  ->  {reason}"));
    }
    for emission in &passage.output {
        let name = lab.port_name(emission.port);
        line.push_str(&format!("  ->  {name} {}", whole(&emission.bytes)));
    }
    line.push('\n');
    line
}

/// ` "PORT 10,0,0,2,200,10"`: the first line of a packet's data, or how much it is.
fn payload(bytes: &[u8]) -> String {
    let Ok(packet) = Packet::parse(bytes.to_vec()) else {
        return String::new();
    };
    let data = match (packet.tcp(), packet.udp()) {
        (Some(tcp), _) => tcp.payload().to_vec(),
        (_, Some(udp)) => udp.payload().to_vec(),
        _ => return String::new(),
    };
    let first = data
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    match data.len() {
        0 => String::new(),
        _ if !first.is_empty() && first.len() <= 60 && first.iter().all(|it| it.is_ascii_graphic() || *it == b' ') => {
            format!(" \"{}\"", first.escape_ascii())
        }
        length => format!(" {length} bytes"),
    }
}

fn describe_lab(lab: &Lab) -> String {
    let mut text = format!("lab {}, {:?} after its start\n", lab.name(), lab.elapsed());
    for interface in lab.machine.router().config().net.interfaces() {
        let addresses: Vec<String> = interface
            .addresses
            .iter()
            .map(|it| format!("{}/{}", it.address, it.prefix_length))
            .collect();
        text.push_str(&format!(
            "interface {} mtu {} {}\n",
            interface.name,
            interface.mtu,
            addresses.join(" ")
        ));
    }
    text.push_str(&routes(lab));
    for (word, family) in [("tables", Family::V4), ("tables6", Family::V6)] {
        let tables = lab.machine.table_names(family);
        if !tables.is_empty() {
            text.push_str(&format!("{word} {}\n", tables.join(" ")));
        }
    }
    text.push_str(&format!("profile {}\n", lab.machine.profile().name()));
    if !lab.machine.modules().is_empty() {
        text.push_str(&format!("modules {}\n", lab.machine.modules().join(" ")));
    }
    text
}

fn routes(lab: &Lab) -> String {
    let config = lab.machine.router().config();
    let mut text = String::new();
    let routes = Family::ALL.into_iter().flat_map(|family| config.net.routes(family));
    for route in routes.filter(|it| it.table == crate::net::table::MAIN) {
        text.push_str(&format!("route {}", route.to));
        if let Some(via) = route.via {
            text.push_str(&format!(" via {via}"));
        }
        if let Some(id) = route.interface {
            text.push_str(&format!(" dev {}", config.net.interface(id).name));
        }
        text.push_str(&config.net.ways_text(route));
        text.push('\n');
    }
    text
}

fn help(topic: Option<&str>, tools: &[&str]) -> Result<String, String> {
    let Some(topic) = topic else {
        let mut text = String::from("The lab's own words:\n");
        for own in OWN_WORDS {
            text.push_str(&format!("  {:<52} {}\n", own.syntax, own.about));
        }
        text.push_str("Tools, each with its own options:\n  ");
        text.push_str(&tools.join(" "));
        text.push_str("\nHere-documents (iptables-restore <<EOF), files (iptables-restore < FILE, iptables-save > FILE, >> FILE), | grep WORD, # comments and\n\\ at a line's end work.\n");
        return Ok(text);
    };
    if let Some(own) = OWN_WORDS.iter().find(|own| own.name == topic) {
        let more = match topic {
            "send" => SEND_HELP,
            "expect" => EXPECT_HELP,
            _ => "",
        };
        return Ok(format!("{}\n  {}\n{more}", own.syntax, own.about));
    }
    if tools.contains(&topic) {
        return Ok(format!("{topic} is a tool: ask it with `{topic} --help`\n"));
    }
    Err(format!("there is no help for `{topic}`: `help` lists what there is"))
}

pub(crate) const SEND_HELP: &str = "\
  tcp A:PORT > B:PORT [FLAGS]   flags as tcpdump has them: S SA A PA FA R ... or none
      seq N, ack N (else the conversation goes on), win N, urg N, mss N, wscale N, sackok, sack L-R..., ts N N
  udp A:PORT > B:PORT
  icmp A > B KIND               that of the addresses' family: echo-request, unreachable port, time-exceeded, ... or type N code N
      id N and seq N of what asks and answers, rest N (those four bytes of any message); of errors quoting last, quoting (PACKET),
      pointer N of parameter-problem, mtu N of unreachable fragmentation-needed; of IPv4's redirect gateway A
      of IPv6 also packet-too-big with mtu N, neighbour-solicitation, router-advertisement, multicast-report and their like, with
      target A, group A, for A, source-link MAC, target-link MAC; icmpv6 says that it is IPv6's
  ip A > B proto N              any other protocol
  hex BYTES                     bytes as they are
  all but hex: id N (ipid N for ICMP), mf, frag OFFSET [LENGTH], badsum, data \"TEXT\" or data 0xHEX, zeros N
      IPv4: ttl N, tos N, df, badipsum
      IPv6: hl N (its hop limit: 64, and 255 of what neighbours say to one another), tclass N (its traffic class), flow N, plen N (a length
      that is wrong), and extension headers in their order: hbh and dstopt with ra N, jumbo N, pad N, opt TYPE [0xHEX] or 0xHEX;
      rt TYPE LEFT [A...]; frag OFFSET [LENGTH]; ah SPI SEQ; ext NUMBER 0xHEX
  Addresses of IPv6 stand in brackets where a port follows: udp [2001:db8::2]:5000 > [2001:db8:1::9]:53.
  A host's name stands for its address, `router` for the router's own on that interface: udp client:5000 > router:53; send -6 by IPv6's.
";

pub(crate) const EXPECT_HELP: &str = "\
  accept, drop, reject, stolen, queue        the last packet's verdict
  forwarded, delivered, sent                 how it was accepted
  [no] state NEW|ESTABLISHED|RELATED|INVALID|UNTRACKED|none
  out IFACE|local [PROTO] [A > B] [FIELD...] something left by it, with these fields
  no out [IFACE]                             nothing left
  by RULE, no by RULE                        what decided in its table; RULE is [TABLE] CHAIN N, [TABLE] CHAIN policy,
                                             [[TABLE] CHAIN] comment TEXT or [[TABLE] CHAIN] text PART; -4 or -6 before
                                             it says whose rules, else it is those that the last packet met
  rule RULE packets N [bytes N]              a rule's counters; policy [TABLE] CHAIN ... a policy's
  flow WORD..., no flow [WORD...], flows N   words of a line of `conntrack -L -o extended`, in order
  expectation WORD...                        the same of `conntrack -L expect`
  log TEXT, no log [TEXT]                    what the last packet left in the kernel's log
  output TEXT, no output TEXT                what the last tool printed
  fail COMMAND...                            the tool fails, or the conversation does not come through; also of send, queue, route
                                             and interface that the lab refuses
";
