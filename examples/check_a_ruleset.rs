//! A ruleset checked from a Rust program or test: as a test file, in the lab's language, and packet by packet.
//!
//! ```sh
//! cargo run --example check_a_ruleset
//! ```
//! In a test the functions below are the body: `assert!(failures(RULES, SCRIPT)?.is_empty())`.

use std::error::Error;
use std::path::Path;

use etherparse::PacketBuilder;
use nflab::TOOLBOX;
use nflab::explain::story::Detail;
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse};
use nflab::suite::{self, Choice};
use nflab::syntax::problem::Source;

/// What is to be checked. A real one would be read from its file.
pub(crate) const RULES: &str = "\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lan -p icmp -j ACCEPT
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i lan -o wan -p tcp -m multiport --dports 80,443 -j ACCEPT
COMMIT
";

/// What it shall do, in the language of `nflab run`.
pub(crate) const SCRIPT: &str = "\
# The lan may ask for web pages, and gets the answers.
send lan tcp 10.0.0.2:40000 > 192.0.2.9:443 S
expect forwarded
send wan tcp 192.0.2.9:443 > 10.0.0.2:40000 SA
expect forwarded
expect state ESTABLISHED
# Nobody else may come in.
send wan tcp 192.0.2.9:40000 > 10.0.0.2:443 S
expect drop
";

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", tell()?);
    Ok(())
}

/// Everything that the example prints.
pub(crate) fn tell() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for (name, rules) in [
        ("as it is", RULES.to_owned()),
        ("without 443", RULES.replace("80,443", "80")),
    ] {
        out += &format!("the ruleset {name}:\n");
        let failures = failures(&rules, SCRIPT)?;
        if failures.is_empty() {
            out += "    every expectation is met\n";
        }
        for failure in failures {
            out += &format!("    {failure}\n");
        }
    }
    out += &report(RULES, CASES)?;
    out += &format!(
        "ports of the router that answer the wan: {:?}\n",
        open_ports(RULES, "wan", 1..=1024)?
    );
    Ok(out)
}

/// Cases by name and in a table, as `nflab test` reads them from a file, each with a lab of its own; and the rules that no case reached.
pub(crate) const CASES: &str = "\
host client 10.0.0.2 lan
host server 192.0.2.9 wan
test \"the web is open\"
  handshake client:40000 > server:443
end
table \"nothing else is\"
  from    to      service  verdict
  client  server  tcp/22   drop
  server  client  tcp/443  drop
end
";

/// The report of the cases, for people.
///
/// # Errors
/// Rules or cases that cannot be read, each with its place.
pub(crate) fn report(rules: &str, cases: &str) -> Result<String, Box<dyn Error>> {
    let text = format!("rules <<EOF\n{rules}EOF\n{cases}");
    // Where texts come from is the caller's business: `&mut |path| std::fs::read_to_string(path)` reads files.
    let mut reader = |path: &Path| match path.to_str() {
        Some("cases") => Ok(text.clone()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let suite = suite::read(Path::new("cases"), &mut reader, TOOLBOX, &Choice::default())?;
    let outcome = suite::run(&[suite]);
    // `outcome.coverage().unreached()` has the rules as values, for a test that asks for all of them.
    Ok(suite::report::people(&outcome, false) + &outcome.coverage().text())
}

/// The expectations of a script that a ruleset does not meet, each with its line; every call is a lab of its own.
///
/// # Errors
/// Rules or a script that cannot be read.
pub(crate) fn failures(rules: &str, script: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut runner = Runner::new(lab_with(rules)?, ".".into());
    runner.tells = None;
    let source = Source {
        name: "script".to_owned(),
        text: script.to_owned(),
    };
    let mut failures = Vec::new();
    for statement in &parse(&source, TOOLBOX)? {
        if let (_, Err(failed)) = runner.run(statement) {
            let (line, _) = source.line_and_column(statement.position.start);
            failures.push(format!("line {line}: {}", failed.reason));
        }
    }
    Ok(failures)
}

/// The ports of the router's own that a host behind an interface may open: what no list of cases could say in a line, a loop does.
///
/// # Errors
/// Rules that cannot be read, or an interface that is not there.
pub(crate) fn open_ports(
    rules: &str,
    interface: &str,
    ports: impl Iterator<Item = u16>,
) -> Result<Vec<u16>, Box<dyn Error>> {
    let mut lab = lab_with(rules)?;
    let id = lab.interface(interface).ok_or("no such interface")?;
    let mut open = Vec::new();
    for port in ports {
        let mut segment = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 9], [192, 0, 2, 1], 64)
            .tcp(40_000, port, 1, 64_240)
            .syn()
            .write(&mut segment, &[])?;
        let passage = lab.send(Some(id), segment);
        if passage.report.fate.verdict() == "ACCEPT" {
            // Why, for who wants to know: `passage.story` has the packet's way.
            let _ = passage.story.render(Detail::Short);
            open.push(port);
        }
    }
    Ok(open)
}

/// The default lab (lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64) with these rules in force.
fn lab_with(rules: &str) -> Result<Lab, Box<dyn Error>> {
    let mut lab = Lab::default_lab(1, TOOLBOX)?;
    let output = lab.tool("iptables-restore", &[], rules, Path::new("."));
    match output.code {
        0 => Ok(lab),
        _ => Err(format!("{}{}", output.stderr, output.advice).into()),
    }
}
