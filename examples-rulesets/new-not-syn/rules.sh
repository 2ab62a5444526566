#!/bin/sh
# A packet without SYN can open a flow, since tracking picks up connections it did not see begin. These rules want none of that.
iptables -P FORWARD DROP
iptables -N bad_tcp
iptables -A bad_tcp -p tcp ! --syn -m state --state NEW -j LOG --log-prefix "New not syn: "
iptables -A bad_tcp -p tcp ! --syn -m state --state NEW -j DROP
iptables -A FORWARD -p tcp -j bad_tcp
iptables -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
iptables -A FORWARD -i lan -o wan -m state --state NEW -j ACCEPT
