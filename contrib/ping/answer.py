#!/usr/bin/env python3
"""etcdlocker -k KEY --ping -- contrib/ping/answer.py

Answers pings from the loop that does the work. With --ping=sd_notify, says WATCHDOG=1 from it.
"""
import os
import select
import socket
import sys
import time


class Liveness:
    """Call alive() at least every half TTL, from where the work is done."""

    def __init__(self):
        env = os.environ
        self.ping = int(env["ETCD_LOCK_PING_FD"]) if "ETCD_LOCK_PING_FD" in env else None
        self.pong = int(env["ETCD_LOCK_PONG_FD"]) if "ETCD_LOCK_PONG_FD" in env else None
        self.notify = None
        if self.ping is None and "NOTIFY_SOCKET" in env:
            address = env["NOTIFY_SOCKET"]
            self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.notify.connect("\0" + address[1:] if address.startswith("@") else address)

    def alive(self):
        if self.notify is not None:
            self.notify.send(b"WATCHDOG=1")
        elif self.ping is not None and select.select([self.ping], [], [], 0)[0]:
            os.write(self.pong, os.read(self.ping, 4096))


if __name__ == "__main__":
    liveness = Liveness()
    until = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 3)
    while time.monotonic() < until:
        liveness.alive()
        time.sleep(0.1)  # a round of the work
