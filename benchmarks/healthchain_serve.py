"""Serve HealthChain's application as `uvicorn.run` does without options, with two workers and one fault mended.

With several workers, uvicorn on asyncio leaves TCP_NODELAY off, and on loopback answers then wait 40 ms for the
client's acknowledgement. Connections inherit the option from the socket that they arrive at.

    python healthchain_serve.py PORT
"""

from __future__ import annotations

import socket
import sys

from uvicorn import Config
from uvicorn.supervisors import Multiprocess

if __name__ == "__main__":
    # What uvicorn chooses itself where uvloop and httptools are not installed, as after `pip install healthchain`.
    config = Config("healthchain_service:app", port=int(sys.argv[1]), workers=2, loop="asyncio", http="h11")
    listening = config.bind_socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Multiprocess(config, sockets=[listening]).run()
