"""A service manager's notification socket: prints each message on one line, after the pid that it came from.

Argument: the socket's path, or @NAME for an abstract one.
"""
import os
import socket
import struct
import sys

name = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
listener.bind("\0" + name[1:] if name.startswith("@") else name)
print("listening", flush=True)
while True:
    message, parts, _, _ = listener.recvmsg(65536, socket.CMSG_SPACE(struct.calcsize("3i")))
    pid = [struct.unpack("3i", data)[0] for level, kind, data in parts if kind == socket.SCM_CREDENTIALS]
    print(pid[0] if pid else 0, message.decode(errors="replace").strip().replace("\n", " | "), flush=True)
