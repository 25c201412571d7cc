#!/bin/sh
# etcdlocker -k KEY --ping -- contrib/ping/answer.sh
#
# Answers each ping when a round of the work is done: a round that hangs is found out. A ping is a line; the answer is the
# same line. Where nothing of the work may wait for a ping, have a loop in the background read and write instead; it then
# shows only that the shell lives.
rounds=${1:-3}
while [ "$rounds" -gt 0 ] && read -r ping <&"$ETCD_LOCK_PING_FD"; do
	: a round of the work
	echo "$ping" >&"$ETCD_LOCK_PONG_FD"
	rounds=$((rounds - 1))
done
