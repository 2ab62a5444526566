#!/bin/sh
# The same as rules.sh, in IPv6: a packet without SYN can open a flow, and these rules want none of that.
ip6tables -P FORWARD DROP
ip6tables -N bad_tcp
ip6tables -A bad_tcp -p tcp ! --syn -m state --state NEW -j LOG --log-prefix "New not syn: "
ip6tables -A bad_tcp -p tcp ! --syn -m state --state NEW -j DROP
ip6tables -A FORWARD -p tcp -j bad_tcp
ip6tables -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
ip6tables -A FORWARD -i lan -o wan -m state --state NEW -j ACCEPT
