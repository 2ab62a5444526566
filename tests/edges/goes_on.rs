//! A packet that is tried on a live lab goes on where a real connection stands: what it leaves out is what its end would send next.

use crate::machine::{Machine, ROOT, wait_until};

/// A connection of real programs behind NAT, whose numbers nobody chose, and packets of either end, at either side of the router.
#[test]
fn what_a_packet_leaves_out_is_what_comes_next() {
    let Some(machine) = Machine::new("packets of a real connection") else {
        return;
    };
    machine.up(ROOT);
    machine.shell(
        ROOT,
        "nflab iptables -t nat -A POSTROUTING -o wan -j MASQUERADE
         nflab iptables -P FORWARD DROP
         nflab iptables -A FORWARD -m state --state ESTABLISHED -j ACCEPT
         nflab iptables -A FORWARD -i lan -j ACCEPT",
    );
    let (mut server, _) = machine.start(ROOT, &["nflab", "exec", "server", "--", "python3", "-c", SERVER]);
    let (mut client, _) = machine.start(ROOT, &["nflab", "exec", "client", "--", "python3", "-c", CLIENT]);
    wait_until(
        "data went both ways",
        || machine.run(ROOT, &["cat", "/tmp/port"]).out,
        |said| said.ends_with('\n'),
    );
    let port = machine.shell(ROOT, "cat /tmp/port").trim().to_owned();
    let packets = [
        "wan tcp server:80 > 192.0.2.1:P A",
        "wan tcp server:80 > 192.0.2.1:P PA data \"more\"",
        "wan tcp server:80 > 192.0.2.1:P FA",
        "lan tcp client:P > server:80 A",
        "lan tcp client:P > server:80 PA data \"more\"",
        "lan tcp client:P > server:80 FA",
        "lan tcp client:P > server:80 RA",
    ]
    .map(|packet| packet.replace('P', &port).replace(&format!("{port}A"), "PA"));
    for packet in &packets {
        let told = machine.good(ROOT, &["nflab", "trace", packet]);
        assert!(
            told.contains("ESTABLISHED") && !told.contains("INVALID") && !told.contains("win 64240"),
            "{packet}\n{told}"
        );
    }
    // In one session the copy goes on, too: both ends close in order.
    let typed = format!(
        "send {}\nsend {}\nsend {}\nsend {}\nexpect flow tcp TIME_WAIT\n",
        packets[4], packets[2], packets[5], packets[0]
    );
    machine.write("/tmp/typed", &typed);
    let ran = machine.run(ROOT, &["sh", "-c", "nflab repl < /tmp/typed"]);
    assert!(
        !ran.out.contains("INVALID") && ran.out.matches("ESTABLISHED").count() >= 4 && !ran.err.contains("expected"),
        "{}{}",
        ran.out,
        ran.err
    );
    machine.good(ROOT, &["nflab", "down"]);
    for program in [&mut server, &mut client] {
        let _ = program.wait();
    }
    machine.assert_nothing_left();
}

const SERVER: &str = "
import socket, time
s = socket.create_server(('192.0.2.9', 80))
c, _ = s.accept()
c.sendall(c.recv(100) * 3)
time.sleep(60)
";

const CLIENT: &str = "
import socket, time
while True:
    try:
        c = socket.create_connection(('192.0.2.9', 80), 1)
        break
    except OSError:
        time.sleep(0.05)
c.sendall(b'hello')
read = b''
while len(read) < 15: read += c.recv(100)
open('/tmp/port', 'w').write('%d\\n' % c.getsockname()[1])
time.sleep(60)
";
