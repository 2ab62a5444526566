#!/usr/bin/env python3
"""Records what the kernel does with conversations, as the traces beside this file that `replay.rs` holds nflab against.

    python3 record.py [DIRECTORY]     # as root; writes the traces into DIRECTORY, by default beside this file

Each case has a network namespace of its own with two TUN devices. Writing a packet into one runs the whole receive path within the call, so
that what the router sends for it can be read at once.
"""
import ctypes
import fcntl
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def run(command, stdin=None):
    done = subprocess.run(command, shell=True, input=stdin, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


class KernelTwin:
    """A router in a namespace of its own. `interfaces` maps a name to its address with prefix length."""

    def __init__(self, interfaces, iptables="iptables-legacy"):
        self.iptables = iptables
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): run this as root")
        run("ip link set lo up")
        run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")  # no router solicitations
        run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
        self.tun = {}
        for name, address in interfaces.items():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
            run(f"ip addr add {address} dev {name}; ip link set {name} up")
            self.tun[name] = fd
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.drain()

    def restore(self, rules):
        run(f"{self.iptables}-restore", stdin=rules)

    def drain(self):
        out = []
        for name, fd in self.tun.items():
            while True:
                try:
                    out.append((name, os.read(fd, 65536)))
                except BlockingIOError:
                    break
        return out

    def receive(self, interface, packet):
        """A packet arrives on `interface`; the answer is the list of (interface, packet) that the router sent for it."""
        try:
            os.write(self.tun[interface], packet)
        except OSError:
            pass  # neither IPv4 nor IPv6 by its first byte: the device itself refuses it
        return self.drain()

    def send(self, packet):
        """The router itself sends `packet`: the OUTPUT path."""
        try:
            self.raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        except PermissionError:
            pass  # dropped in OUTPUT: the kernel tells the sender EPERM
        return self.drain()

    def counters(self):
        return run(f"{self.iptables}-save -c")

    def flows(self):
        with open("/proc/net/nf_conntrack") as table:
            return table.read()


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(src, dst, protocol, payload, ttl=64, ident=1):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, 0, ttl, protocol, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(src, dst, sport, dport, data=b""):
    length = 8 + len(data)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!BBH", 0, 17, length)
    body = struct.pack("!HHHH", sport, dport, length, 0) + data
    body = body[:6] + struct.pack("!H", checksum(pseudo + body) or 0xFFFF) + body[8:]
    return ipv4(src, dst, 17, body)


STATES = ["NEW","ESTABLISHED","RELATED","INVALID","UNTRACKED"]
class Rig(KernelTwin):
    def __init__(self, interfaces={"lan":"10.0.0.1/24","wan":"192.0.2.1/24"}, nat="", raw="", filt=""):
        super().__init__(interfaces)
        run("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0; for i in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 > $i; done")
        m = "*mangle\n"
        for s in STATES: m += f"-A PREROUTING -m conntrack --ctstate {s} -j ACCEPT\n"
        for s in STATES: m += f"-A OUTPUT -m conntrack --ctstate {s} -j ACCEPT\n"
        m += "COMMIT\n"
        if raw: m += "*raw\n"+raw+"COMMIT\n"
        if nat: m += "*nat\n"+nat+"COMMIT\n"
        if filt: m += "*filter\n"+filt+"COMMIT\n"
        self.restore(m)
        self.last = self._counts()
    def _counts(self):
        out = run("iptables-legacy -t mangle -vnxL")
        r=[]
        for l in out.splitlines():
            f=l.split()
            if 'ctstate' in f: r.append((f[f.index('ctstate')+1], int(f[0])))
        return r
    def state(self):
        now=self._counts(); got=[n for (n,c),(_,d) in zip(now,self.last) if c!=d]; self.last=now
        return ",".join(got) or "-"

def icmp(src,dst,t,code=0,rest=b"\0\0\0\0",data=b"",ttl=64,bad=False):
    b=struct.pack("!BBH",t,code,0)+rest+data
    c=checksum(b)
    if bad: c^=0x1111
    b=b[:2]+struct.pack("!H",c)+b[4:]
    return ipv4(src,dst,1,b,ttl=ttl)
def echo(src,dst,ident,seq,t=8,data=b"abcdefgh",**k): return icmp(src,dst,t,0,struct.pack("!HH",ident,seq),data,**k)
def tcp(src,dst,sport,dport,seq,ack,flags,data=b"",win=65535,opts=b"",ttl=64):
    f=0
    for c in flags: f|={"F":1,"S":2,"R":4,"P":8,"A":16,"U":32}[c]
    off=(20+len(opts))//4
    h=struct.pack("!HHIIBBHHH",sport,dport,seq&0xffffffff,ack&0xffffffff,off<<4,f,win,0,0)+opts+data
    ps=socket.inet_aton(src)+socket.inet_aton(dst)+struct.pack("!BBH",0,6,len(h))
    h=h[:16]+struct.pack("!H",checksum(ps+h))+h[18:]
    return ipv4(src,dst,6,h,ttl=ttl)
A,A2,B,C="10.0.0.2","10.0.0.3","192.0.2.9","192.0.2.77"
OUT=sys.argv[1] if len(sys.argv)>1 else os.path.dirname(os.path.abspath(__file__))
class T:
    def __init__(s,name,nat=(),helper=False,settings=(),what=""):
        s.f=open(f"{OUT}/{name}.trace","w",buffering=1); s.f.write(f"# {what}\n"); 
        natr="".join("-A "+n+"\n" for n in nat)
        # 'all flows' null bindings need the nat hooks: a rule that never matches
        s.r=Rig(nat=natr or "-A POSTROUTING -s 1.2.3.4 -j ACCEPT\n", raw="-A PREROUTING -p tcp --dport 21 -j CT --helper ftp\n" if helper else "")
        for k,v in settings: run(f"sysctl -w net.netfilter.{k}={v}"); s.f.write(f"set {k} {v}\n")
        for n in nat: s.f.write("nat "+n+"\n")
        if helper: s.f.write("helper ftp 21\n")
        s.t0=time.monotonic()
    def rx(s,i,p,note=""):
        if note: s.f.write(f"# {note}\n")
        t=time.monotonic()-s.t0
        o=s.r.receive(i,p); st=s.r.state()
        s.f.write(f"at {t:.3f}\nin {i} {p.hex()}\nstate {st}\n")
        for j,q in o: s.f.write(f"out {j} {q.hex()}\n")
        return o
    def flows(s):
        t=time.monotonic()-s.t0
        s.f.write(f"at {t:.3f}\n")
        f=s.r.flows().splitlines()
        s.f.write(f"flows {len(f)}\n")
        for l in sorted(f): s.f.write("flow "+l+"\n")
    def exps(s):
        s.f.write(f"at {time.monotonic()-s.t0:.3f}\n")
        e=open("/proc/net/nf_conntrack_expect").read().splitlines(); s.f.write(f"expects {len(e)}\n")
        for l in e: s.f.write("expect "+l+"\n")
    def wait(s,x): time.sleep(x)
def case(f):
    p=multiprocessing.Process(target=f); p.start(); p.join(); assert p.exitcode==0,f
def err(src,dst,inner,t=3,c=3,rest=b"\0\0\0\0",**k): return icmp(src,dst,t,c,rest,inner,**k)
def sport(o): return struct.unpack("!H",o[0][1][20:22])[0]

@case
def states():
    t=T("states",what="UDP, ICMP, GRE and unknown protocols: states, timeouts, what is INVALID")
    u=lambda sp,dp=53,d=b"": udp(A,B,sp,dp,d)
    t.rx("lan",u(1000)); t.flows(); t.rx("lan",u(1000)); t.rx("wan",udp(B,A,53,1000)); t.flows(); t.rx("lan",u(1000)); t.rx("wan",udp(B,A,53,1000)); t.flows()
    t.wait(2.1); t.rx("wan",udp(B,A,53,1000),"two seconds later: a stream"); t.flows(); t.rx("lan",u(1000)); t.flows()
    def mod(p,at,b):
        q=bytearray(p); q[at:at+len(b)]=b; return bytes(q)
    t.rx("lan",mod(u(2000,d=b"hello"),26,b"\x12\x34"),"wrong checksum"); t.rx("lan",mod(u(2001,d=b"hello"),26,b"\0\0"),"no checksum")
    for n,l in ((2002,7),(2003,14),(2004,12)): t.rx("lan",mod(mod(u(n,d=b"hello"),24,struct.pack("!H",l)),26,b"\0\0"),f"UDP length {l} of 13")
    t.rx("lan",ipv4(A,B,17,b"\x10\0\0\x35\0\0")); t.rx("lan",u(0)); t.rx("lan",u(53,0))
    def ul(sp,dp,cov,data,pr):
        n=8+len(data); body=struct.pack("!HHHH",sp,dp,cov,0)+data; ps=socket.inet_aton(A)+socket.inet_aton(B)+struct.pack("!BBH",0,pr,n); c=checksum(ps+body[:(cov or n)]); return ipv4(A,B,136,body[:6]+struct.pack("!H",c)+body[8:])
    for k in ((5,6,8,b"data",17),(5,7,8,b"data",136),(6,6,0,b"data",17),(7,6,7,b"data",17),(8,6,13,b"data",17)): t.rx("lan",ul(*k),f"UDP-Lite {k}")
    for ty in list(range(0,20))+[40]: t.rx("lan",echo(A,B,100+ty,1,t=ty),f"ICMP type {ty}")
    for q,a in ((8,0),(13,14),(15,16),(17,18)):
        t.rx("lan",echo(A,B,7,1,t=q)); t.rx("lan",echo(A,B,7,2,t=q)); t.rx("wan",echo(B,A,7,1,t=a)); t.rx("lan",echo(A,B,7,2,t=q)); t.rx("wan",echo(B,A,7,3,t=q)); t.rx("lan",echo(A,B,7,3,t=a))
    t.rx("lan",icmp(A,B,8,5,b"\0\7\0\1")); t.rx("wan",icmp(B,A,0,5,b"\0\7\0\1")); t.rx("wan",icmp(B,A,0,0,b"\0\7\0\2")); t.rx("lan",echo(A,B,9,1,bad=True)); t.rx("lan",ipv4(A,B,1,b"\x08\0\xf7\xff\0\0\0"))
    for pr in (0,2,4,33,50,51,103): t.rx("lan",ipv4(A,B,pr,b"\x12\x34\x56\x78"*6))
    t.rx("lan",ipv4(A,B,50,b"")); t.rx("wan",ipv4(B,A,50,b"x")); t.rx("lan",ipv4(A,B,50,b""))
    def gre(s,d,fl,pr,rest=b""): return ipv4(s,d,47,struct.pack("!HH",fl,pr)+rest+b"zzzz")
    t.rx("lan",gre(A,B,0,0x800)); t.flows(); t.rx("wan",gre(B,A,0,0x800)); t.flows(); t.rx("lan",gre(A,B,0,0x800)); t.flows()
    t.rx("lan",gre(A,B,0x2000,0x800,b"\0\0\0\5")); t.rx("lan",gre(A,B,0x2001,0x880b,b"\0\4\0\7")); t.rx("lan",gre(A,B,0x2001,0x800,b"\0\4\0\7")); t.rx("lan",ipv4(A,B,47,b"\0\0")); t.rx("lan",ipv4(A2,B,47,b"\x20\x01\x88\x0b"))
    t.flows()
@case
def timeouts():
    t=T("timeouts",what="deadlines as the knobs say; zero and negative ones; accounting and time stamps",settings=(("nf_conntrack_udp_timeout",1),("nf_conntrack_icmp_timeout",0),("nf_conntrack_generic_timeout",-1),("nf_conntrack_udp_timeout_stream",2),("nf_conntrack_acct",1),("nf_conntrack_timestamp",1)))
    t.rx("lan",udp(A,B,1,2)); t.flows(); t.wait(1.05); t.flows(); t.rx("wan",udp(B,A,2,1)); t.rx("lan",udp(A,B,1,2)); t.wait(0.5); t.rx("wan",udp(B,A,2,1)); t.wait(0.7); t.rx("wan",udp(B,A,2,1)); t.wait(0.9); t.rx("lan",udp(A,B,1,2,b"abc")); t.flows(); t.wait(1.2); t.flows()
    t.rx("lan",echo(A,B,1,1)); t.rx("lan",echo(A,B,1,1)); t.rx("wan",echo(B,A,1,1,t=0)); t.rx("lan",ipv4(A,B,50,b"x")); t.rx("wan",ipv4(B,A,50,b"x")); t.flows()
@case
def errors():
    t=T("errors",what="ICMP errors and the packets they quote, without NAT")
    u=udp(A,B,1000,53,b"question"); t.rx("lan",u); f=t.rx("lan",u)[0][1]
    t.rx("wan",err(B,A,f[:28])); t.rx("wan",err(C,A,f[:28])); t.rx("wan",err(C,A,f[:28],bad=True)); t.rx("wan",err(C,A2,f[:28]),"not for the sender"); t.rx("lan",err("10.0.0.5",A,f[:28]))
    for n in (27,24,23,19,0): t.rx("wan",err(C,A,f[:n]),f"{n} bytes quoted")
    for ty in (4,5,11,12): t.rx("wan",err(C,A,f[:28],t=ty,c=0))
    t.rx("wan",err(C,A,f[:28],c=99)); t.rx("wan",err(C,A,udp(A,B,1001,53)[:28]),"no such flow"); t.rx("lan",err(A,B,udp(B,A,53,1000)[:28]),"of an answer that never came"); t.flows()
    def mod(at,b):
        q=bytearray(f[:28]); q[at:at+len(b)]=b; return bytes(q)
    t.rx("wan",err(C,A,mod(6,b"\0\x10")),"quotes a later fragment"); t.rx("wan",err(C,A,mod(0,b"\x46"))); t.rx("wan",err(C,A,mod(0,b"\x44"))); t.rx("wan",err(C,A,mod(0,b"\x65"))); t.rx("wan",err(C,A,mod(10,b"\x12")))
    e=echo(A,B,7,1); t.rx("lan",e); t.rx("wan",err(C,A,e[:28])); t.rx("lan",err(A,B,echo(B,A,7,1,t=0)[:28])); t.rx("wan",err(C,A,err(A,B,f[:28])[:56]),"an error about an error"); t.rx("wan",err(C,A,echo(A,B,8,1,t=3)[:28]))
    t.rx("wan",err(C,A,ipv4(A,B,50,b"12345678"))); t.rx("lan",ipv4(A,B,50,b"12345678")); t.rx("wan",err(C,A,ipv4(A,B,50,b"12345678"))); t.rx("wan",err(C,A,ipv4(A,B,50,b"")))
    t.flows()
@case
def nat_simple():
    t=T("nat",what="SNAT and DNAT where nothing is left to chance",nat=("POSTROUTING -o wan -p udp --dport 7000:8003 -j ACCEPT","POSTROUTING -o wan -p udp --dport 54 -j SNAT --to-source 192.0.2.50:7000","POSTROUTING -o wan -j MASQUERADE","PREROUTING -i wan -p udp --dport 99 -j DNAT --to-destination 10.0.0.2:9","PREROUTING -i lan -p udp --dport 55 -j DNAT --to-destination 192.0.2.20:8000-8003","PREROUTING -i lan -p udp --dport 80:91 -j DNAT --to-destination 192.0.2.20:7000-7010/80","PREROUTING -i lan -p udp --dport 79 -j DNAT --to-destination 192.0.2.20:7000-7010/80"))
    t.rx("lan",udp(A,B,1000,53,b"q")); t.rx("wan",udp(B,"192.0.2.1",53,1000,b"a"))
    t.rx("lan",udp(A,B,1000,54,b"q")); t.rx("wan",udp(B,"192.0.2.50",54,7000,b"a"))
    t.rx("wan",udp(C,"192.0.2.1",7000,99,b"x")); t.rx("lan",udp(A,C,9,7000,b"y"))
    for dp in (55,80,81,85,90,91,79): t.rx("lan",udp(A,B,40000+dp,dp)); t.rx("lan",udp(A,C,40000+dp,dp)); t.rx("lan",udp(A,C,40000+dp,dp))
    t.rx("lan",echo(A,B,7,1)); t.rx("wan",echo(B,"192.0.2.1",7,1,t=0)); 
    t.rx("lan",ipv4(A,B,50,b"abcdefgh")); t.rx("lan",ipv4(A2,B,50,b"abcdefgh"),"no port to change: dropped"); t.rx("wan",ipv4(B,"192.0.2.1",50,b"abcdefgh"))
    t.rx("lan",tcp(A,B,3000,80,100,0,"S",opts=b"\2\4\5\xb4")); t.rx("wan",tcp(B,"192.0.2.1",80,3000,200,101,"SA")); t.rx("lan",tcp(A,B,3000,80,101,201,"A")); t.rx("lan",tcp(A,B,3000,80,101,201,"PA",b"GET")); 
    n=bytearray(udp(A,B,1000,56,b"q")); n[26:28]=b"\0\0"; t.rx("lan",bytes(n),"no checksum")
    t.flows()
@case
def nat_errors():
    t=T("nat_errors",what="ICMP errors of flows under NAT: the quoted packet is rewritten too",nat=("POSTROUTING -o wan -j MASQUERADE","PREROUTING -i wan -p udp --dport 99 -j DNAT --to-destination 10.0.0.2:9","PREROUTING -i lan -p udp --dport 98 -j DNAT --to-destination 192.0.2.9:97"))
    f=t.rx("lan",udp(A,B,1000,53,b"question"))[0][1]
    for q in (f[:28],f,f[:24]): t.rx("wan",err(C,"192.0.2.1",q))
    t.rx("wan",err(C,"192.0.2.1",f[:28],t=5,c=1),"redirect"); t.rx("wan",err(C,"192.0.2.1",f[:28],t=3,c=4,rest=b"\0\0\5\0"),"fragmentation needed"); t.rx("wan",err(C,"192.0.2.1",f[:28],t=11,c=0))
    g=t.rx("wan",udp(B,"192.0.2.1",53,1000,b"ans"))[0][1]; t.rx("lan",err(A,B,g[:28]))
    n=bytearray(udp(A,B,1000,53,b"question")); n[26:28]=b"\0\0"; f0=t.rx("lan",bytes(n))[0][1]; t.rx("wan",err(B,"192.0.2.1",f0[:28]))
    h=t.rx("wan",udp(C,"192.0.2.1",7000,99,b"x"))[0][1]; t.rx("lan",err(A,C,h[:28]))
    e=t.rx("lan",echo(A,B,7,1))[0][1]; t.rx("wan",err(C,"192.0.2.1",e)); e2=t.rx("wan",echo(B,"192.0.2.1",7,1,t=0))[0][1]; t.rx("lan",err(A,B,e2[:28]))
    s=t.rx("lan",tcp(A,B,2000,80,100,0,"S"))[0][1]; t.rx("wan",err(C,"192.0.2.1",s)); t.rx("wan",err(C,"192.0.2.1",s[:28]))
    k=bytearray(f); k[26]^=0x55; t.rx("wan",err(C,"192.0.2.1",bytes(k)),"quotes a wrong checksum"); k=bytearray(f[:28]); k[0]=0x65; t.rx("wan",err(C,"192.0.2.1",bytes(k)))
    d=t.rx("lan",udp(A,B,1234,98,b"both"))[0][1]; t.rx("wan",err(C,"192.0.2.1",d),"source and destination mapped"); t.rx("wan",err(B,"192.0.2.1",d[:28]))
    p=ipv4(A,B,50,b"12345678"); p=t.rx("lan",p)[0][1]; t.rx("wan",err(C,"192.0.2.1",p)); t.rx("wan",err(C,"192.0.2.1",p[:20]))
    run("sysctl -w net.netfilter.nf_conntrack_checksum=0"); t.f.write("set nf_conntrack_checksum 0\n"); t.rx("wan",err(C,"192.0.2.1",f[:28],bad=True),"wrong checksum, unverified"); t.rx("lan",err(A,C,f[:28],bad=True))
    t.flows()
def conv(t,cp=3000,ca=A,sa=B,cif="lan",sif="wan",cseen=None,real=None):
    class Cv: pass
    v=Cv(); v.c,v.s,v.cd,v.sd=1000,5000,0,0; cseen=cseen or ca; real=real or sa
    o=t.rx(cif,tcp(ca,sa,cp,21,999,0,"S")); p2=sport(o); t.rx(sif,tcp(real,cseen,21,p2,4999,1000,"SA")); t.rx(cif,tcp(ca,sa,cp,21,1000,5000,"A"))
    def cl(d,seq=None,opts=b"",drop=False):
        q=v.c if seq is None else seq
        o=t.rx(cif,tcp(ca,sa,cp,21,q,v.s+v.sd,"PA",d,opts=opts),repr(d))
        if o and seq is None: v.c+=len(d); v.cd+=len(o[0][1])-40-len(d)-len(opts)
        return o
    def sv(d,seq=None,opts=b""):
        q=v.s if seq is None else seq
        o=t.rx(sif,tcp(real,cseen,21,p2,q,v.c+v.cd,"PA",d,opts=opts),repr(d))
        if o and seq is None: v.s+=len(d); v.sd+=len(o[0][1])-40-len(d)-len(opts)
        return o
    v.cl,v.sv=cl,sv; return v
@case
def ftp_parse():
    t=T("ftp_parse",what="FTP without NAT: what is read, what is dropped, what is expected",helper=True); c=conv(t)
    c.cl(b"PORT 10,0,0,2,4,1\r\n"); t.exps(); c.sv(b"220 hi\r\n")
    for d in (b"port 10,0,0,2,4,2\r\n",b"PORT 10,0,0,2,4,3\n",b"PORT 10,0,0,2,4,4\r",b"\n",b"PORT 10,0,0,2,4,5 \r\n",b"PORT  10,0,0,2,4,6\r\n",b"PORT 10,0,0,2,256,6\r\n",b"PORT 10,0,0,2,0,0\r\n",b"PORT 10,0,0,3,4,7\r\n",b" PORT 10,0,0,2,4,8\r\n",b"NOOP\r\nPORT 10,0,0,2,4,9\r\n",b"PORT 10,0,0,2,4,10\r\nNOOP\r\n",b"PORT 010,0,0,2,4,11\r\n",b"PORT 10,0,0,2,4\r\n",b"PORT 10,0,0,2,4,1,7\r\n",b"PORT 10,,0,2,4,1\r\n",b"PORT\t10,0,0,2,4,12\r\n",b"PORT 10.0.0.2,4,13\r\n",b"PORTx 10,0,0,2,4,14\r\n",b"PORT 266,0,0,2,4,1\r\n",b"PORT 10,0,0,258,4,1\r\n",
      b"EPRT |1|10.0.0.2|2000|\r\n",b"EPRT |1|10.0.0.2|2001|x\r\n",b"EPRT !1!10.0.0.2!2002!\r\n",b"EPRT |2|::1|2003|\r\n",b"EPRT |1|10.0.0.3|2004|\r\n",b"EPRT |1|10.0.0.2|70000|\r\n",b"EPRT |1|10.0.0.2|0|\r\n",b"eprt |1|10.0.0.2|2005|\r\n",b"EPRT 1|10.0.0.2|2006|\r\n",b"EPRT |1|10.0.0.2|2007\r\n",b"EPRT |1|10.0.0.2|+2008|\r\n",b"EPRT |1|10.0.2|2009|\r\n",b"EPRT |1|10.0.0.2.5|2009|\r\n",b"EPRT .1.10.0.0.2.2010.\r\n",b"EPRT ~1~10.0.0.2~2011~\r\n",b"EPRT |1|10.0.0.2|2012",b"E",b"EP",b"PORT",b"PORT ",b"P",b"USER ",b"joe\r\n",b"PORT 10,0,0,2,9,2\r\n",b"",b"\r\n",b"PORT 10,0,0,2,9,4\r\n"):
        o=c.cl(d); t.exps()
        if not o: c.cl(b"NOOP\r\n")
    for i,d in enumerate((b"227 Entering Passive Mode (192,0,2,9,8,%d)\r\n",b"227 Entering Passive Mode (192,0,2,9,8,%d).\r\n",b"227 Entering Passive Mode 192,0,2,9,8,%d\r\n",b"227 =192,0,2,9,8,%d\r\n",b"227 foo 12 (192,0,2,9,8,%d)\r\n",b"227 Entering (192,0,2,10,8,%d)\r\n",b"227-Entering (192,0,2,9,8,%d)\r\n",b"220 (192,0,2,9,8,%d)\r\n",b"227 (192,0,2,9,8,%d\r\n",b"227 192,0,2,9,8,%d)\r\n",b"150 x\r\n227 (192,0,2,9,8,%d)\r\n",b"227 (192,0,2,9,8,%d",b"227 x(y(192,0,2,9,8,%d)\r\n",b"227 a1b 192,0,2,9,8,%d\r\n",b"227(192,0,2,9,8,%d)\r\n",b"227  (192,0,2,9,8,%d)\r\n",b"227 (192,0,2,9,8,%d,7)\r\n",
       b"229 Entering Extended Passive Mode (|||40%d|)\r\n",b"229 x (!!!41%d!)\r\n",b"229 x |||42%d|\r\n",b"229 x (|1|192.0.2.9|43%d|)\r\n",b"229 (|||44%d|\r\n",b"229 (|||45%d)\r\n",b"229 (  |||46%d|)\r\n",b"229 (||47%d|)\r\n",b"229 (|||65%d0|)\r\n",b"229-(|||48%d|)\r\n",b"229 (|||7%d00|)\r\n",b"229 ((|||49%d|)\r\n",b"229 (|||%d"),20):
        o=c.sv(d%i); t.exps()
        if not o: c.sv(b"200 x\r\n")
    for d in (b"2",b"22",b"227",b"227 ",b"227 Ent",b"229 x (",b"229"): c.sv(d)
@case
def ftp_active():
    t=T("ftp_active",what="FTP without NAT: the data connection is RELATED until it is answered",helper=True); c=conv(t); c.cl(b"USER x\r\n"); c.cl(b"PORT 10,0,0,2,4,1\r\n"); t.exps()
    t.rx("wan",tcp(B,A,20,1025,1,0,"S")); t.exps(); t.flows(); t.rx("wan",tcp(B,A,20,1025,1,0,"S")); t.rx("lan",tcp(A,B,1025,20,1,2,"SA")); t.rx("wan",tcp(B,A,20,1025,2,2,"A")); t.rx("wan",tcp(B,A,20,1026,1,0,"S")); t.flows()
@case
def ftp_masq():
    t=T("ftp_masquerade",what="FTP of a client behind MASQUERADE, active and passive: rewriting and sequence numbers",helper=True,nat=("POSTROUTING -o wan -j MASQUERADE",))
    c=conv(t,cseen="192.0.2.1"); c.sv(b"220 hi\r\n"); c.cl(b"USER x\r\n"); c.sv(b"331 ok\r\n"); c.cl(b"PORT 10,0,0,2,4,1\r\n"); t.exps(); c.sv(b"200 ok\r\n"); c.cl(b"PORT 10,0,0,2,4,1\r\n",seq=1008); c.cl(b"RETR x\r\n"); c.cl(b"PORT 10,0,0,2,4,1\r\n",seq=1008); 
    c.sv(b"150 x\r\n",opts=b"\x01\x01\x05\x0a"+struct.pack("!II",1008+1,1016+20)); c.sv(b"y\r\n",opts=b"\x01\x01\x05\x12"+struct.pack("!IIII",1000,1008,1028,1036)); c.sv(b"z\r\n",opts=b"\x01\x05\x0a"+struct.pack("!II",1028,1036)+b"\0")
    t.rx("wan",tcp(B,"192.0.2.1",20,1025,1,0,"S")); t.flows(); t.exps(); t.rx("lan",tcp(A,B,1025,20,1,2,"SA")); t.rx("wan",tcp(B,"192.0.2.1",20,1025,2,2,"A"))
    c.cl(b"PORT 10,0,0,2,100,200\r\n"); c.cl(b"EPRT |1|10.0.0.2|2000|\r\n"); t.exps(); c.cl(b"NOOP\r\n"); c.sv(b"200 x\r\n"); c.cl(b"NOOP\r\n",seq=c.c-6)
    c.cl(b"PASV\r\n"); c.sv(b"227 Entering Passive Mode (192,0,2,9,8,20)\r\n"); t.exps(); t.rx("lan",tcp(A,B,4000,2068,1,0,"S")); t.rx("wan",tcp(B,"192.0.2.1",2068,4000,1,2,"SA")); c.sv(b"227 ok (192,000,002,009,08,021) yes\r\n"); c.sv(b"200 y\r\n"); c.cl(b"NOOP\r\n")
    c.sv(b"229 Entering Extended Passive Mode (|||4036|)\r\n"); t.exps(); t.rx("lan",tcp(A,B,4001,4036,1,0,"S")); c.cl(b"PORT 10,0,0,3,4,1\r\n"); c.cl(b"PORT 10,0,0,2,0,0\r\n"); t.exps(); t.flows()
    c.sv(b"229 x (!!!4037!)\r\n"); t.exps()
@case
def ftp_dnat():
    t=T("ftp_dnat",what="FTP of a server behind DNAT, active and passive",helper=True,nat=("PREROUTING -i wan -p tcp --dport 21 -j DNAT --to-destination 10.0.0.2",))
    c=conv(t,cif="wan",sif="lan",ca=B,sa="192.0.2.1",cseen=B,real=A); c.sv(b"220 hi\r\n"); c.cl(b"PASV\r\n"); c.sv(b"227 Entering Passive Mode (10,0,0,2,8,20)\r\n"); t.exps(); c.cl(b"RETR\r\n"); t.rx("wan",tcp(B,"192.0.2.1",4000,2068,1,0,"S")); t.flows(); t.rx("lan",tcp(A,B,2068,4000,1,2,"SA"))
    c.sv(b"227 Entering Passive Mode (10,0,0,2,200,200)\r\n"); c.cl(b"NOOP\r\n"); c.sv(b"229 Entering Extended Passive Mode (|||4036|)\r\n"); t.exps(); t.rx("wan",tcp(B,"192.0.2.1",4001,4036,1,0,"S")); c.cl(b"PORT 192,0,2,9,4,1\r\n"); t.exps(); t.rx("lan",tcp(A,B,20,1025,1,0,"S")); c.sv(b"227 Entering Passive Mode (10,0,0,3,8,20)\r\n"); t.flows()
