//! The pages of what people write: nflab-script(5), nflab-test(5), nflab-lab(5). What each shows as an example is run by a test.

use super::command::capitalised;
use super::roff::Page;
use crate::lab::file::keys::PLACES;
use crate::lab::script::{EXPECT_HELP, OWN_WORDS, SEND_HELP};
use crate::suite::FILE_WORDS;

/// nflab-script(5).
pub(super) fn script() -> String {
    let mut page = Page::new("nflab-script", 5, "the language of nflab run and of the REPL");
    page.section("DESCRIPTION");
    page.paragraph(
        "A command a line: every tool with its real syntax, with here-documents (<<EOF), input from files (<), output to files (>, >>) and | grep WORD, and the \
         lab's own words. What stands behind # is a remark, and \\ at a line's end goes on in the next. A command that fails ends the script, which exits with 1; \
         what cannot be read is told with its line before anything is done, and the exit code is 2. The REPL alone knows exit and quit, which leave it, \
         as ^D does outside of a here-document.",
    );
    page.section("WORDS");
    for word in OWN_WORDS {
        page.term(word.syntax, &format!("{}.", capitalised(word.about)));
    }
    page.section("PACKETS");
    page.paragraph("What send takes:");
    page.literal(SEND_HELP);
    page.paragraph("A packet is written as it is shown, and most of it may be left out:");
    page.literal(PACKETS);
    page.section("EXPECTATIONS");
    page.literal(EXPECT_HELP);
    page.section("EXAMPLE");
    page.literal(SCRIPT);
    page.section("SEE ALSO");
    page.paragraph("nflab(1), nflab-lab(5), nflab-test(5), nflab-iptables(8)");
    page.finish()
}

/// nflab-test(5).
pub(super) fn test() -> String {
    let mut page = Page::new("nflab-test", 5, "tests of rulesets, as nflab test reads them");
    page.section("DESCRIPTION");
    page.paragraph(
        "nflab test reads files *.test.nflab. Within their tests stands the language of scripts, nflab-script(5); around them stand the words below. Each test \
         has a lab of its own. A failing expectation is noted and the test goes on, a failing command ends it.",
    );
    page.section("WORDS");
    for (_, syntax, about) in FILE_WORDS {
        page.term(syntax, &format!("{}.", capitalised(about)));
    }
    page.section("EXAMPLE");
    page.literal(TEST_FILE);
    page.section("SEE ALSO");
    page.paragraph("nflab(1), nflab-script(5), nflab-lab(5)");
    page.finish()
}

/// nflab-lab(5).
pub(super) fn lab() -> String {
    let mut page = Page::new("nflab-lab", 5, "what a lab is made of");
    page.section("DESCRIPTION");
    page.paragraph(
        "A lab is described in TOML. What is not understood is refused with its position, all of it together, and nothing is made. A lab without a file has lan \
         10.0.0.1/24 and 2001:db8::1/64, and wan 192.0.2.1/24 and 2001:db8:1::1/64 with a default route of each family.",
    );
    for place in PLACES {
        page.section(if place.head.is_empty() { "TOP" } else { place.head });
        page.paragraph(&format!("{}.", capitalised(place.about)));
        for key in place.keys {
            page.term(key.syntax, &format!("{}.", capitalised(key.about)));
        }
    }
    page.section("EXAMPLE");
    page.literal(LAB_FILE);
    page.section("SEE ALSO");
    page.paragraph("nflab(1), nflab-script(5), nflab-test(5)");
    page.finish()
}

const LAB_FILE: &str = "\
profile = \"linux6\"       # or \"classic\", a kernel of the ip_conntrack days
memory = \"1G\"            # what the machine has; it makes nf_conntrack_max
offload = true           # for nflab up: devices carry packets that stand for many (TSO, USO, GRO); an interface may say it, too
workers = 2              # for nflab up: threads that carry packets; as many as there are cores unless given
[sysctl]
\"net.netfilter.nf_conntrack_tcp_loose\" = 0
[interface.lan]
address = [\"10.0.0.1/24\", \"2001:db8::1/64\"]
[interface.wan]
address = [\"192.0.2.1/24\", \"2001:db8:1::1/64\"]
[[route]]
to = \"default\"          # of the family that `via` is of
via = \"192.0.2.254\"
[[route]]                # by several gateways, which share its packets, as ip route add ... nexthop ... has them
to = \"default\"
nexthop = [{ via = \"2001:db8:1::fe\", weight = 2 }, { via = \"fe80::2\", dev = \"wan\" }]
[host.client]            # for nflab up: a network namespace LAB-client
interface = \"lan\"
address = [\"10.0.0.2/24\", \"2001:db8::2/64\"]
";

const PACKETS: &str = "\
tcp 10.0.0.2:40000 > 192.0.2.9:80 S
tcp 10.0.0.2:40000 > 192.0.2.9:80 PA seq 7 ack 9 data \"GET /\\r\\n\" ttl 3 df
udp 10.0.0.2:5353 > 192.0.2.53:53 data 0x0001
icmp 10.0.0.2 > 192.0.2.9 echo-request id 7 seq 1
icmp 192.0.2.9 > 192.0.2.1 unreachable port quoting last
ip 10.0.0.2 > 192.0.2.9 proto gre zeros 40
tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 S hl 3
icmp 2001:db8::2 > 2001:db8:1::9 echo-request id 7 seq 1
udp [2001:db8::2]:5353 > [2001:db8:1::53]:53 frag 0 mf
icmp 2001:db8:1::9 > 2001:db8::2 packet-too-big mtu 1280 quoting last
icmp fe80::2 > ff02::1:ff00:1 neighbour-solicitation target 2001:db8::1
";

const TEST_FILE: &str = "\
rules rules.v4
rules6 rules.v6
host client 10.0.0.2 2001:db8::2 lan
host server 192.0.2.9 2001:db8:1::9 wan
test \"the web is open\"
  handshake client:40000 > server:80
  expect by comment \"the web\"
  handshake -6 client:40000 > server:80
end
table \"what else there is\"
  from    to      service  verdict
  client  server  tcp/22   drop
  server  router  icmp     drop
end
";

const SCRIPT: &str = "\
# Who asks from inside gets answers; nobody asks from outside.
iptables -P FORWARD DROP
iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
iptables -A FORWARD -i lan -p tcp --dport 80 -j ACCEPT
host client 10.0.0.2 lan
host server 192.0.2.9 wan
handshake client:40000 > server:80
expect state ESTABLISHED
expect flow tcp ESTABLISHED dport=80
send wan tcp server:5000 > client:80 S
expect drop
expect by FORWARD policy
advance 1h
";

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::cli::TOOLBOX;
    use crate::lab::file::LabFile;
    use crate::lab::memory::Lab;
    use crate::lab::script::{Runner, parse_text};
    use crate::suite::{self, Choice};

    #[test]
    fn what_the_pages_show_runs() {
        let file = LabFile::parse("page", LAB_FILE).unwrap_or_else(|error| panic!("{error}"));
        Lab::new(&file, 1, TOOLBOX).unwrap_or_else(|error| panic!("{error}"));
        for packet in PACKETS.lines() {
            let line = format!("send lan {packet}");
            parse_text("page", &line, TOOLBOX).unwrap_or_else(|error| panic!("{error}"));
        }
        let mut runner = Runner::new(Lab::default_lab(1, TOOLBOX).unwrap(), PathBuf::new());
        for statement in parse_text("page", SCRIPT, TOOLBOX).unwrap_or_else(|error| panic!("{error}")) {
            let (said, result) = runner.run(&statement);
            assert!(result.is_ok(), "{result:?} {said:?}");
        }
        let mut reader = |path: &Path| match path.to_str() {
            Some("page") => Ok(TEST_FILE.to_owned()),
            Some("rules.v4" | "rules.v6") => Ok(RULES.to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let suite = suite::read(Path::new("page"), &mut reader, TOOLBOX, &Choice::default());
        let outcome = suite::run(&[suite.unwrap_or_else(|error| panic!("{error}"))]);
        assert!(
            outcome.cases.len() == 5 && outcome.passed(),
            "{:?}",
            outcome.failed().next()
        );
    }

    const RULES: &str = "*filter\n:FORWARD DROP [0:0]\n:INPUT DROP [0:0]\n\
                         -A FORWARD -p tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT\n\
                         -A FORWARD -m state --state ESTABLISHED -m comment --comment \"the web\" -j ACCEPT\nCOMMIT\n";

    /// What the parser takes stands in the page, and the other way round.
    #[test]
    fn every_key_is_taken() {
        for (head, key) in PLACES
            .iter()
            .flat_map(|place| place.keys.iter().map(|key| (place.head, key.name)))
        {
            let nonsense = match head {
                "" => format!("{key} = {{}}\n"),
                "nexthop" => format!("[[route]]\nnexthop = [{{ {key} = {{}} }}, {{ dev = \"a\" }}]\n"),
                head => format!("{}\n{key} = {{}}\n", head.replace("NAME", "a")),
            };
            let said = LabFile::parse("page", &nonsense).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(!said.contains("unknown key"), "{head} {key}: {said}");
        }
    }
}
