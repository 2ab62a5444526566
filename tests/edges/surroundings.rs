//! `nflab sh` and `nflab import` where little is as usual: low limits, odd directories, arguments of any bytes, closed streams, a kill.

use crate::containment::Machine;

#[test]
fn low_limits_are_raised_for_nflab_alone_or_named() {
    let script = r#"
        (ulimit -S -n 12; ulimit -S -s 100; "$nflab" sh -- bash -c 'ulimit -n -s | tr -dc "0-9\n"; ulimit -S -s 1000; iptables -S INPUT; exit 7'); echo "exit $?"
        (ulimit -n 12; "$nflab" sh -- touch ran 2>&1; echo "exit $?"; ls ran 2> /dev/null)
        printf '#!/bin/sh\niptables -A INPUT -j DROP\n[ $(ulimit -n) = 30 ] || echo "has other limits"\n' > rules.sh
        (ulimit -S -n 30; "$nflab" import rules.sh 2>&1 | grep -e limits -e '-A INPUT'); (ulimit -n 30; "$nflab" import rules.sh 2>&1; echo "exit $?")
        (ulimit -s 60; "$nflab" sh -- touch ran 2>&1; echo "exit $?") | sed 's/needs [0-9]*/needs more/'"#;
    let expected = "12\n100\n-P INPUT ACCEPT\nexit 7\n\
         nflab: a process may have 12 files open here, and nflab needs 64 for this: raise the limit (ulimit -n). Nothing was run\nexit 3\n\
         [0:0] -A INPUT -j DROP\n\
         nflab: a process may have 30 files open here, and nflab needs 64 for this: raise the limit (ulimit -n). Nothing was run\nexit 3\n\
         nflab: the stack may grow to 60 kB here, and nflab needs more: raise the limit (ulimit -s)\nexit 3\n";
    Machine::new().both(script, expected);
}

/// It starts in what the view has under that name, and never in the machine's own.
#[test]
fn the_directory_is_one_of_the_view() {
    let script = r#"
        mkdir -p closed/inner; cd closed/inner; chmod 000 ..; "$nflab" sh -- iptables -S INPUT 2>&1; cd - > /dev/null; chmod 755 closed
        cd /proc/sys/kernel; "$nflab" sh -- sh -c 'pwd; cat core_pattern > core_pattern && echo TAKEN' 2> /dev/null
        cd /sys/kernel; "$nflab" sh -- sh -c 'pwd; cat mm/ksm/run > mm/ksm/run && echo TAKEN' 2> /dev/null
        cd /proc/$$; "$nflab" sh -- sh -c 'pwd; cat cmdline' 2> /dev/null
        cd /dev/shm; "$nflab" sh -- sh -c 'pwd; touch nflab-was-here'; ls nflab-was-here 2> /dev/null
        mkdir -p /opt/gone; cd /opt/gone 2> /dev/null && rmdir /opt/gone && "$nflab" sh -- sh -c 'ls ../below && echo TAKEN' 2> /dev/null
        cd "$TMPDIR"; env -u HOME "$nflab" sh -- true; HOME=/none TMPDIR=/none "$nflab" sh -- iptables -S INPUT"#;
    let machine = Machine::new();
    for who in crate::containment::able() {
        let prepared = match rustix::process::geteuid().is_root() {
            true => "mount -t tmpfs -o mode=1777 opt /opt; touch /opt/below;",
            false => "",
        };
        let ran = machine.script_on(who, prepared, script);
        let expected = "-P INPUT ACCEPT\n/proc/sys/kernel\n/sys/kernel\n/\n/dev/shm\n-P INPUT ACCEPT\n";
        assert_eq!(ran.out, expected, "as {who:?}: {}", ran.err);
    }
}

#[test]
fn arguments_and_the_environment_are_any_bytes_and_any_number() {
    let script = r#"
        X=$'\xff\xfe' "$nflab" sh -- python3 -c 'import os, sys; print(os.fsencode(sys.argv[1]), os.environb[b"X"])' $'a\xff\xfeb'
        "$nflab" sh -- sh -c 'echo ${#1} $#' x "$(head -c 120000 /dev/zero | tr '\0' a)" $(seq 100000)
        printf '#!/bin/sh\niptables -A INPUT -m comment --comment "$1"\n' > rules.sh
        "$nflab" import --argument $'q\xfeq' rules.sh 2> /dev/null | grep -a INPUT | tail -1 | od -An -c | tr -d ' \n'; echo"#;
    let expected = "b'a\\xff\\xfeb' b'\\xff\\xfe'\n120000 100001\n[0:0]-AINPUT-mcomment--comment\"q376q\"\\n\n";
    Machine::new().both(script, expected);
}

#[test]
fn closed_streams_hinder_nothing() {
    let script = r#"
        "$nflab" sh -- iptables -S INPUT <&-; "$nflab" sh -- sh -c 'iptables -S INPUT >&2' 2>&1 >&-; "$nflab" sh -- iptables -S INPUT 2>&-
        "$nflab" sh --save saved -- sh -c 'iptables -P INPUT DROP; exit 3' <&- >&- 2>&-; echo "exit $?"; grep INPUT saved"#;
    let expected = "-P INPUT ACCEPT\n-P INPUT ACCEPT\n-P INPUT ACCEPT\nexit 3\n:INPUT DROP [0:0]\n";
    Machine::new().both(script, expected);
}

/// Whatever kills it, its directory goes, with what the script left running.
#[test]
fn nothing_of_an_import_stays_when_it_is_killed() {
    let script = r#"
        printf '#!/bin/sh\niptables -A INPUT -j DROP\nsetsid sleep 4741 &\nsleep 4742\n' > rules.sh
        "$nflab" import --allow sleep --allow setsid rules.sh > /dev/null 2>&1 & pid=$!
        for i in $(seq 500); do pgrep -f "sleep 4742" > /dev/null && break; sleep 0.02; done
        ls -d nflab-sh* | grep -c .; kill -KILL $pid; wait $pid 2> /dev/null
        for i in $(seq 500); do ls -d nflab-sh* > /dev/null 2>&1 || pgrep -f "sleep 474[12]" > /dev/null || break; sleep 0.02; done
        ls -d nflab-sh* 2> /dev/null; pgrep -f "sleep 474[12]" || echo "nothing left""#;
    Machine::new().both(script, "1\nnothing left\n");
}
