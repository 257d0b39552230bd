#!/usr/bin/env python3
"""Measures the latency of joins while other clients read the journal of the same genomaster.

    scripts/readers.py [GENOMASTER] [READERS]

Starts the program GENOMASTER (default target/release/genomaster), has it journal 1,500 events, and
prints the median and the 90th percentile of 50 joins in milliseconds, first without load and then
with READERS (default 8) clients that request /v1/journal?after=0 in a loop."""

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time

program = sys.argv[1] if len(sys.argv) > 1 else "target/release/genomaster"
readers = int(sys.argv[2]) if len(sys.argv) > 2 else 8


def join(connection, miner, jobs):
    body = json.dumps({"miner": miner, "jobs": jobs})
    connection.request("POST", "/v1/join", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    assert response.status == 204, response.status


def fill(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(150):
        join(connection, name, 1 + number % 2)


def read(port, pages, stop):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while not stop.is_set():
        connection.request("GET", "/v1/journal?after=0")
        connection.getresponse().read()
        pages.append(1)


def measure(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    took = []
    for number in range(50):
        began = time.perf_counter()
        # The number of jobs changes each time, so that each join is journaled.
        join(connection, "writer", 1 + number % 2)
        took.append(1000 * (time.perf_counter() - began))
    took.sort()
    return f"p50 {took[25]:.1f} ms, p90 {took[45]:.1f} ms"


with tempfile.TemporaryDirectory() as folder:
    command = [program, "serve", "--unsigned", "--listen", "127.0.0.1:0", "--run", folder + "/run"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        fillers = [threading.Thread(target=fill, args=(port, f"m{n}")) for n in range(10)]
        [filler.start() for filler in fillers]
        [filler.join() for filler in fillers]
        print("without load:", measure(port))
        stop, pages, began = threading.Event(), [], time.perf_counter()
        threads = [threading.Thread(target=read, args=(port, pages, stop)) for _ in range(readers)]
        [thread.start() for thread in threads]
        print(f"{readers} readers:", measure(port))
        stop.set()
        [thread.join() for thread in threads]
        print(f"{len(pages) / (time.perf_counter() - began):.0f} pages per second")
    finally:
        server.kill()
        server.wait()
