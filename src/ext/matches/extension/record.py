#!/usr/bin/env python3
"""Asks the kernel what it makes of headers that are odd, and writes kernel.txt anew: run as root, `unshare -n -m python3 record.py`.

Each packet has a destination of its own. Behind the rule in question stands one that counts what goes on: a packet that neither counts was dropped on the spot.
What never comes to a rule (a broken hop-by-hop header) is left out."""

import fcntl
import os
import re
import socket
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
HERE = os.path.dirname(os.path.abspath(__file__))


def address(text):
    return socket.inet_pton(socket.AF_INET6, text)


SOURCE = address("2001:db8::2")
SEGMENTS = [address("2001:db8::%x" % number) for number in range(1, 6)]
DATAGRAM = b"\0\1\0\2\0\x0c\0\0abcd"
TCP, UDP = 6, 17
HOP, ROUTING, FRAGMENT, ESP, AH, ICMP, NONE, DESTINATION, MOBILITY = 0, 43, 44, 50, 51, 58, 59, 60, 135


def chain(*headers, last=17, payload=DATAGRAM):
    """Headers, each a number and what stands behind the byte that names the next: the first number, and all bytes."""
    following = [number for number, _ in headers[1:]] + [last]
    body = b"".join(bytes([following[at]]) + header for at, (_, header) in enumerate(headers))
    return (headers[0][0] if headers else last), body + payload


def options(number, body=b"\1\4\0\0\0\0", length=None):
    return number, bytes([(len(body) + 2) // 8 - 1 if length is None else length]) + body


def padded(number, *body):
    body = b"".join(body)
    missing = -(len(body) + 2) % 8
    padding = {0: b"", 1: b"\0"}.get(missing) or (bytes([1, missing - 2]) + bytes(missing - 2) if missing else b"")
    return options(number, body + padding)


def fragment(offset=0, more=0, number=5, reserved=0, bits=0):
    return FRAGMENT, struct.pack(">BHI", reserved, offset << 3 | bits << 1 | more, number)


def routing(kind, left, body=b"\0\0\0\0", length=None):
    return ROUTING, bytes([(len(body) + 4) // 8 - 1 if length is None else length, kind, left]) + body


def segments(left, last, addresses, tag=0, kind=4, length=None, behind=b""):
    return routing(kind, left, struct.pack(">BBH", last, 0, tag) + b"".join(addresses) + behind, length)


def authentication(spi=5, check=bytes(12), reserved=0, length=None):
    units = (12 + len(check)) // 4 - 2 if length is None else length
    return AH, bytes([units]) + struct.pack(">HII", reserved, spi, 1) + check


def packets():
    made = {"plain": chain()}
    # Fragments.
    made["first"] = chain(fragment(0, 1))
    made["middle"] = chain(fragment(3, 1))
    made["last"] = chain(fragment(6, 0, 7))
    made["atomic"] = chain(fragment())
    made["first-reserved"] = chain(fragment(0, 1, reserved=1))
    made["first-bit-1"] = chain(fragment(0, 1, bits=1))
    made["first-bit-2"] = chain(fragment(0, 1, bits=2))
    for length in (0, 1, 3, 4, 7):
        made[f"fragment-of-{length}"] = (FRAGMENT, b"\x11\0\0\1\0\0\0"[:length])
    made["later-of-7"] = (FRAGMENT, b"\x11\0\0\x10\0\0\0")
    made["options+first"] = chain(options(DESTINATION), fragment(0, 1))
    made["hop+first"] = chain(options(HOP), fragment(0, 1))
    made["first+first"] = chain(fragment(0, 1, 9), fragment(0, 1))
    made["middle+middle"] = chain(fragment(3, 1, 9), fragment(3, 1))
    made["long-options+first"] = chain(options(DESTINATION, length=20), fragment(0, 1))
    made["esp+first"] = chain((ESP, bytes(7)), fragment(0, 1))
    made["ah+first"] = chain(authentication(), fragment(0, 1))
    made["later+options"] = chain(fragment(3, 1), padded(DESTINATION, b"\5\2\0\0"))
    made["first+options"] = chain(fragment(0, 1), padded(DESTINATION, b"\5\2\0\0"))
    # Routing headers.
    made["route-0"] = chain(routing(0, 0))
    made["route-0-a"] = chain(routing(0, 1, bytes(4) + SEGMENTS[0]))
    made["route-0-ab-reserved"] = chain(routing(0, 2, b"\0\0\0\1" + SEGMENTS[0] + SEGMENTS[1]))
    made["route-0-abc"] = chain(routing(0, 3, bytes(4) + b"".join(SEGMENTS[:3])))
    made["route-2"] = chain(routing(2, 1, bytes(4) + SEGMENTS[0]))
    for length in (1, 2, 3, 4, 7):
        made[f"route-of-{length}"] = (ROUTING, b"\x11\0\0\0\0\0\0"[:length])
    made["route-long"] = chain(routing(0, 1, bytes(4) + SEGMENTS[0], length=9))
    made["route-to-the-end"] = (ROUTING, bytes([NONE, 2, 0, 1]) + bytes(4) + SEGMENTS[0])
    made["route-a-byte-short"] = (ROUTING, bytes([NONE, 2, 0, 1]) + bytes(4) + SEGMENTS[0][:-1])
    made["route-half-an-address"] = chain((ROUTING, bytes([1, 0, 1]) + bytes(12)))
    made["later+route"] = chain(fragment(3, 1), routing(0, 1, bytes(4) + SEGMENTS[0]))
    made["first+route"] = chain(fragment(0, 1), routing(0, 1, bytes(4) + SEGMENTS[0]))
    made["route-2+route-0"] = chain(routing(2, 1, bytes(4) + SEGMENTS[0]), routing(0, 1, bytes(4) + SEGMENTS[0]))
    # Segments.
    made["segments-0-of-0"] = chain(segments(0, 0, SEGMENTS[:1]))
    made["segments-0-of-1"] = chain(segments(0, 1, SEGMENTS[:2]))
    made["segments-1-of-1"] = chain(segments(1, 1, SEGMENTS[:2]))
    made["segments-2-of-1"] = chain(segments(2, 1, SEGMENTS[:2]))
    made["segments-1-of-2-tag"] = chain(segments(1, 2, SEGMENTS[:3], 5))
    made["segments-1-of-2-tlv"] = chain(segments(1, 2, SEGMENTS[:3], behind=b"\5\6" + bytes(6)))
    made["segments-long"] = chain(segments(1, 1, SEGMENTS[:2], length=60))
    made["segments-1-of-5-two"] = chain(segments(1, 5, SEGMENTS[:2]))
    made["segments-4-of-5-two"] = chain(segments(4, 5, SEGMENTS[:2]))
    made["segments-none"] = chain(segments(0, 0, []))
    made["segments-8-of-9-none"] = chain(segments(8, 9, []))
    made["segments-of-7"] = (ROUTING, b"\x11\0\4\0\0\0\0")
    made["segments-of-8"] = (ROUTING, b"\x11\0\4\0\0\0\0\0")
    made["segments+icmp"] = chain(segments(1, 2, SEGMENTS[:3]), last=ICMP, payload=b"\x80" + bytes(7))
    made["later+segments"] = chain(fragment(3, 1), segments(1, 1, SEGMENTS[:2]))
    made["options+segments"] = chain(options(DESTINATION), segments(1, 1, SEGMENTS[:2]))
    made["route-2+segments"] = chain(routing(2, 0), segments(1, 1, SEGMENTS[:2]))
    # Options.
    alert = b"\5\2\0\0"
    for number, name in ((DESTINATION, "options"), (HOP, "hop")):
        made[f"{name}-pad4"] = chain(options(number))
        made[f"{name}-pad1s"] = chain(options(number, bytes(6)))
        made[f"{name}-5"] = chain(padded(number, alert))
        made[f"{name}-0-5"] = chain(padded(number, b"\0", alert))
        made[f"{name}-5-0-0"] = chain(options(number, alert + bytes(2)))
        made[f"{name}-5-62"] = chain(padded(number, alert, b"\x3e\1\0"))
        made[f"{name}-to-the-end"] = (number, b"\x3b\0" + alert + b"\1\0")
    for name, body in (
        ("5-of-0", b"\5\0" + alert + bytes(0)),
        ("5-of-20", b"\5\x14" + bytes(4)),
        ("5-of-4", b"\5\4" + bytes(4)),
        ("5-of-3", b"\5\3" + bytes(4)),
        ("5-of-5", b"\5\5" + bytes(4)),
        ("5-of-255", b"\5\xff" + bytes(4)),
        ("5-in-the-last-byte", b"\1\3\0\0\0\5"),
        ("0s-and-5-in-the-last-byte", bytes(5) + b"\5"),
    ):
        made[f"options-{name}"] = chain(options(DESTINATION, body), payload=b"\7\1" * 8)
    made["options-201"] = chain(padded(DESTINATION, bytes([201, 16]) + address("2001:db8::7")))
    made["options-long"] = chain(options(DESTINATION, alert + b"\1\0", length=9))
    for length in (0, 1, 2, 4, 7):
        made[f"options-of-{length}"] = (DESTINATION, b"\x11\0\5\2\0\0\1"[:length])
    made["options+options"] = chain(options(DESTINATION), padded(DESTINATION, alert))
    made["hop+options"] = chain(options(HOP), padded(DESTINATION, alert))
    # Authentication headers.
    made["ah"] = chain(authentication())
    made["ah-reserved"] = chain(authentication(reserved=1))
    made["ah-9"] = chain(authentication(9))
    made["ah-without-check"] = chain(authentication(check=b""))
    made["ah-length-1"] = chain(authentication(length=1))
    made["ah-length-0"] = chain(authentication(length=0))
    made["ah-long"] = chain(authentication(length=50))
    for length in (0, 1, 2, 11, 12):
        made[f"ah-of-{length}"] = (AH, b"\x11\4\0\0\0\0\0\5\0\0\0\1"[:length])
    made["later+ah"] = chain(fragment(3, 1), authentication())
    made["first+ah"] = chain(fragment(0, 1), authentication())
    made["options+ah"] = chain(options(DESTINATION), authentication())
    made["ah+ah"] = chain(authentication(), authentication(9))
    # All sorts, and what follows none.
    made["hop+options+route+first+ah"] = chain(
        options(HOP), options(DESTINATION), routing(2, 0), fragment(0, 1), authentication()
    )
    made["esp"] = (ESP, bytes(20))
    for length in (0, 1, 2):
        made[f"esp-of-{length}"] = (ESP, bytes(length))
    made["none"] = (NONE, b"")
    made["none-and-8"] = (NONE, bytes(8))
    made["hop+none"] = chain(options(HOP), last=NONE, payload=b"")
    made["options+esp"] = chain(options(DESTINATION), last=ESP, payload=bytes(8))
    made["options+none"] = chain(options(DESTINATION), last=NONE, payload=b"")
    made["options-of-2+none"] = (DESTINATION, b"\x3b\0")
    made["options+fragment-of-0"] = (DESTINATION, b"\x2c\0\1\4\0\0\0\0")
    made["options-of-7+fragment"] = (DESTINATION, b"\x2c\0\1\4\0\0\0")
    # Segments and datagrams, whole, in pieces and cut short.
    segment = b"\0\1\0\x50" + bytes(8) + b"\x50\x02" + bytes(6)
    made["tcp"] = (TCP, segment)
    made["options+tcp"] = chain(options(DESTINATION), last=TCP, payload=segment)
    for offset in (0, 1, 2, 3):
        made[f"tcp-at-{8 * offset}"] = chain(fragment(offset, 1), last=TCP, payload=segment)
        made[f"udp-at-{8 * offset}"] = chain(fragment(offset, 1), last=UDP, payload=segment)
    for length in (0, 2, 4, 13, 14, 19):
        made[f"tcp-of-{length}"] = (TCP, segment[:length])
        made[f"udp-of-{length}"] = (UDP, segment[:length])
    made["tcp-offset-4"] = (TCP, segment[:12] + b"\x40" + segment[13:])
    made["tcp-offset-8"] = (TCP, segment[:12] + b"\x80" + segment[13:])
    # Messages.
    for kind in (0, 1, 7, 8, 255):
        made[f"mobility-{kind}"] = (MOBILITY, bytes([NONE, 0, kind, 0, 0, 0, 0, 0]))
    made["mobility-1+udp"] = (MOBILITY, bytes([17, 0, 1, 0, 0, 0, 0, 0]))
    made["mobility-1-long"] = (MOBILITY, bytes([NONE, 9, 1, 0, 0, 0, 0, 0]))
    for length in (0, 2, 3, 5, 6, 7):
        made[f"mobility-of-{length}"] = (MOBILITY, bytes([NONE, 0, 1, 0, 0, 0, 0])[:length])
    message = bytes([NONE, 0, 1, 0, 0, 0, 0, 0])
    made["first+mobility"] = chain(fragment(0, 1), last=MOBILITY, payload=message)
    made["later+mobility"] = chain(fragment(3, 1), last=MOBILITY, payload=message)
    made["options+mobility"] = chain(options(DESTINATION), last=MOBILITY, payload=message)
    echo = bytes([128, 0, 0, 0, 0, 1, 0, 1])
    made["echo"] = (ICMP, echo)
    made["unreachable-4"] = (ICMP, bytes([1, 4]) + bytes(6))
    made["icmp-255-3"] = (ICMP, bytes([255, 3]) + bytes(6))
    for length in (0, 1, 2, 4, 7):
        made[f"echo-of-{length}"] = (ICMP, echo[:length])
    made["first+echo"] = chain(fragment(0, 1), last=ICMP, payload=echo)
    made["later+echo"] = chain(fragment(3, 1), last=ICMP, payload=echo)
    made["options+echo"] = chain(options(DESTINATION), last=ICMP, payload=echo)
    return made


def rules():
    def of(name, *typed, before=""):
        return [f"{before}-m {name} {options}".rstrip() for options in typed]

    made = of("frag", "", "--fragid 5", "! --fragid 5", "! --fragid :", "--fragid 6:8", "--fragid 8:5", "--fraglen 8",
              "! --fraglen 8", "--fragres", "--fragfirst", "--fragmore", "--fraglast", "--fragfirst --fraglast")
    made += of("rt", "", "--rt-type 0", "! --rt-type 0", "--rt-type 256", "! --rt-type 256", "--rt-segsleft 1",
               "! --rt-segsleft 1", "--rt-segsleft 1:2", "--rt-segsleft 2:1", "--rt-segsleft :", "! --rt-segsleft :", "--rt-len 24",
               "! --rt-len 24", "--rt-type 0 --rt-0-res")
    for listed in ("1", "1,2", "1,3", "2,3", "1,2,3", "2,1", "1,1"):
        listed = ",".join(f"2001:db8::{number}" for number in listed.split(","))
        made += of("rt", f"--rt-type 0 --rt-0-addrs {listed}", f"--rt-type 0 --rt-0-addrs {listed} --rt-0-not-strict")
    made += of("srh", "", "--srh-hdr-len-gt 1 --srh-hdr-len-lt 9", "--srh-hdr-len-eq 4 ! --srh-hdr-len-gt 4")
    for asked in ("next-hdr 17", "hdr-len-eq 4", "hdr-len-gt 4", "hdr-len-lt 4", "segs-left-eq 1", "segs-left-gt 1",
                  "segs-left-lt 1", "last-entry-eq 1", "last-entry-gt 1", "last-entry-lt 1", "tag 5", "tag 0", "psid 2001:db8::3",
                  "psid 2001:db8::/64", "nsid 2001:db8::1", "nsid ::/0", "lsid 2001:db8::1", "lsid 2001:db8::99/64", "psid ::/0", "lsid ::/0"):
        made += of("srh", f"--srh-{asked}", f"! --srh-{asked}")
    for name in ("dst", "hbh"):
        made += of(name, "", f"--{name}-len 8", f"! --{name}-len 8", f"--{name}-len 0", f"! --{name}-len 8 --{name}-opts 5")
        made += of(name, *(f"--{name}-opts {asked}" for asked in (
            "5", "5:2", "5:3", "0", "0,5", "0,0,0", "0,0,0,0,0,0", "0,0,0,0,0,0,0", "1", "1:4", "5,1", "5,1:0", "5,62:1", "5,0,0",
            "5:20", "5:0", "1,5", "1:3,5", "1:3,5:0", "201:16", "5,5", "0,0,0,0,0,5", "0,0,0,0,0,5:7", "5,7", "5:4,7", "5:3,0", "5:3,0,0",
            "5:5,7", "5:255")))
    made += of("ah", "", "--ahspi 5", "! --ahspi 5", "--ahspi 4:6", "--ahspi 6:4", "! --ahspi :", "--ahlen 24", "! --ahlen 24",
               "--ahlen 0", "! --ahlen 0", "--ahlen 12", "--ahres")
    for asked in ("prot", "dst", "dst,prot", "none", "esp", "hop", "hop,dst,route,frag,auth,prot", "frag", "frag,prot", "dst,esp",
                  "dst,none", "route", "auth", "hop,none", "ah,prot"):
        made += of("ipv6header", f"--header {asked}", f"--header {asked} --soft", f"! --header {asked}", f"! --header {asked} --soft")
    made += of("eui64", "")
    made += of("hl", "--hl-eq 64", "! --hl-eq 64", "--hl-lt 65", "--hl-gt 64")
    made += of("length", "--length 60", "--length 0:52", "! --length 60")
    made += of("tcp", "", "--dport 80", "! --dport 80", "--tcp-flags SYN,ACK SYN", "--tcp-option 5", "! --tcp-option 5", before="-p tcp ")
    made += of("udp", "", "--dport 80", "! --dport 80", "--sport 1:2", before="-p udp ")
    made += of("multiport", "--dports 80,2", "! --ports 80", before="-p tcp ")
    made += of("multiport", "--dports 80,2", "! --ports 80", before="-p udp ")
    made += of("mh", "", "--mh-type 1", "! --mh-type 1", "--mh-type 1:7", "! --mh-type :", before="-p mh ")
    made += of("icmp6", *(f"--icmpv6-type {asked}" for asked in ("128", "128/0", "1/4", "1/3:5", "255", "255/4")), before="-p icmpv6 ")
    made += of("icmp6", *(f"! --icmpv6-type {asked}" for asked in ("128", "1/3:5", "255")), before="-p icmpv6 ")
    return made


def run(*command, given=None):
    return subprocess.run(command, check=True, capture_output=True, text=True, input=given).stdout


def device(name):
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), 0x1001))
    for knob, value in (("addr_gen_mode", "1"), ("accept_dad", "0")):
        with open(f"/proc/sys/net/ipv6/conf/{name}/{knob}", "w", encoding="ascii") as file:
            file.write(value)
    run("ip", "link", "set", name, "up")
    return descriptor


def answers(rule, sent, lan, wan):
    """A letter for each packet."""
    text = "*raw\n" + "".join(f":p{at} -\n" for at in range(len(sent)))
    for at, (destination, _) in enumerate(sent):
        shown = socket.inet_ntop(socket.AF_INET6, destination)
        text += f"-A PREROUTING -d {shown} -j p{at}\n-A p{at} {rule}\n-A p{at}\n"
    run("ip6tables-legacy-restore", given=text + "COMMIT\n")
    for _, packet in sent:
        os.write(lan, packet)
    try:
        while os.read(wan, 65536):
            pass
    except BlockingIOError:
        pass
    counts = {}
    for line in run("ip6tables-legacy-save", "-c", "-t", "raw").splitlines():
        if found := re.match(r"\[(\d+):\d+\] -A p(\d+)\b", line):
            counts.setdefault(int(found[2]), []).append(int(found[1]))
    letters = {(1, 1): "y", (0, 1): ".", (0, 0): "d"}
    return [letters[tuple(counts[at])] for at in range(len(sent))]


def main():
    lan, wan = device("lan"), device("wan")
    run("ip", "-6", "route", "add", "2001:db8:1::/64", "dev", "wan")
    with open("/proc/sys/net/ipv6/conf/all/forwarding", "w", encoding="ascii") as file:
        file.write("1")
    names, sent = [], []
    for name, (following, payload) in packets().items():
        destination = address("2001:db8:1::%x" % (0x100 + len(sent)))
        header = struct.pack(">IHBB", 6 << 28, len(payload), following, 64)
        names.append(name)
        sent.append((destination, header + SOURCE + destination + payload))
    comes = answers("-m hl --hl-gt 0", sent, lan, wan)
    names = [name for name, letter in zip(names, comes) if letter == "y"]
    sent = [packet for packet, letter in zip(sent, comes) if letter == "y"]
    with open(os.path.join(HERE, "kernel.txt"), "w", encoding="ascii") as file:
        file.write("# What the kernel makes of each packet in the raw table, written by record.py: a letter for each, in their order.\n")
        file.write("# y: it matches; .: it does not; d: it is dropped on the spot.\n")
        for name, (_, packet) in zip(names, sent):
            file.write(f"packet {name} {packet.hex()}\n")
        for rule in rules():
            file.write(f"rule {''.join(answers(rule, sent, lan, wan))} {rule}\n")


sys.exit(main())
