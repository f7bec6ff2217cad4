"""What the benches share: an instance of hearth, the pipe on which services tell when they began, memory and activity of
processes, and the table. Values are medians over rounds; min and max show how noisy the machine was."""
import ctypes
import fcntl
import http.client
import json
import mmap
import os
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

STAMP = struct.Struct("=iiq")
mono = time.monotonic_ns


def under_an_init():
    """Gives whoever is orphaned by this bench a parent that reaps him, as PID 1 of a machine does and that of many a
    container does not. Returns in a child; this process waits for it, reaps whatever comes, and ends as it does."""
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    init = os.getpid()
    bench = os.fork()
    if bench == 0:
        libc.prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != init:
            sys.exit(1)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bench
    while True:
        pid, status = os.wait()
        if pid == bench:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


class Fifo:
    """Where services tell (id, pid, CLOCK_MONOTONIC ns)."""

    def __init__(self, path):
        os.mkfifo(path, 0o600)
        self.path = path
        self.fd = os.open(path, os.O_RDWR)
        try:
            fcntl.fcntl(self.fd, 1031, 1 << 20)  # F_SETPIPE_SZ
        except OSError:
            pass

    def get(self, seconds=None):
        data = b""
        while len(data) < STAMP.size:
            if seconds is not None and not select.select([self.fd], [], [], seconds)[0]:
                raise TimeoutError(f"no service has begun for {seconds} s")
            data += os.read(self.fd, STAMP.size - len(data))
        return STAMP.unpack(data)

    def close(self):
        os.close(self.fd)


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


class Hearth:
    """One instance in a directory of its own."""

    def __init__(self, bin_dir, keep=False, fifo=None):
        self.bin = bin_dir
        self.dir = tempfile.mkdtemp(prefix="hb.", dir="/dev/shm")
        self.instance = os.path.join(self.dir, "i")
        os.makedirs(os.path.join(self.dir, "p"))
        self.fifo = Fifo(os.path.join(self.dir, "stamps")) if fifo is None else None
        self.stamps = fifo or self.fifo.path
        self.keep = keep

    def cli(self, *args, **kwargs):
        return subprocess.run([f"{self.bin}/hearth", "--dir", self.instance, *args], check=kwargs.pop("check", True),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)

    def write(self, count, extra="", args="", restart="never"):
        with open(f"{self.dir}/p/hearth.toml", "w") as f:
            f.write('[project]\nname = "bench"\n')
            for i in range(count):
                f.write(f'[service.s{i}]\ncommand = ["{self.bin}/bench-svc", "{i}", "{self.stamps}"{args}]\n'
                        f'restart = "{restart}"\n{extra}')

    def up(self, wait=False):
        return self.cli("up", "-f", f"{self.dir}/p/hearth.toml", *([] if wait else ["--no-wait"]))

    def get(self, path):
        connection = UnixHTTP(f"{self.instance}/api.sock")
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def begin_order(self, body, key):
        """Sends an order and leaves its answer in the socket: for end_order()."""
        connection = UnixHTTP(f"{self.instance}/api.sock")
        connection.request("POST", "/v1/orders", json.dumps(body), {"Idempotency-Key": key})
        return connection

    def end_order(self, connection):
        """The answer to an order that was begun; ends the bench when it was refused."""
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        if response.status != 202:
            sys.exit(f"bench: an order was refused: {text}")

    def status(self):
        return self.get("/v1/status")

    def shutdown(self):
        self.cli("shutdown", check=False)

    def close(self):
        self.shutdown()
        self.fifo.close()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed:
            self.keep = True
            print(f"bench: what it left is kept: {self.dir}", file=sys.stderr)
        self.close()


class Members:
    """PIDs of hearth's own processes, as they stand in the slot table (docs/formats/slot-table.md): unlike a list of the
    keeper's children, it tells them from a service that is just being started. 0: it does not run now."""

    ROLES = ("supervisor", "logger", "spawner 1", "spawner 2")
    KEEPER_AT, FIRST_AT, EACH = 20, 192, 64

    def __init__(self, h):
        with open(f"{h.instance}/state/slot-table", "rb") as f:
            self.table = mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ)

    def pid(self, role):
        at = self.KEEPER_AT if role == "keeper" else self.FIRST_AT + self.EACH * self.ROLES.index(role)
        return struct.unpack_from("=i", self.table, at)[0]


def ended(pidfd, seconds=30):
    """Waits for the end of a process; False when it lives on."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def own_pids(status):
    """hearth's own processes: the keeper, and its children that are no services."""
    keeper = status["keeper"]["pid"]
    services = {s["pid"] for s in status["services"] if s["pid"]}
    children = open(f"/proc/{keeper}/task/{keeper}/children").read().split()
    return [keeper] + [int(p) for p in children if int(p) not in services]


def pss_kib(pids):
    total = 0
    for pid in pids:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def activity(pids):
    """(CPU ns, context switches) of all threads."""
    cpu = switches = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            cpu += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
            for line in open(f"/proc/{pid}/task/{task}/status"):
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
    return cpu, switches


class Report:
    def __init__(self, as_json):
        self.as_json = as_json
        if not as_json:
            print(f"{'name':<48}{'value':>10} {'unit':<6}{'min':>9}{'max':>9}{'limit':>10}{'ratio':>7}{'budget':>8}")

    def row(self, name, values, unit, limit=None, budget=None, absolute=None, of=None):
        """`limit`: values of the bare work, `budget` as a ratio to it; `absolute`: a budget of the value itself; `of`: how
        many were looked at."""
        value = statistics.median(values)
        base = statistics.median(limit) if limit else None
        ratio = value / base if base else None
        ok = None
        if budget is not None and ratio is not None:
            ok = ratio <= budget
        if absolute is not None:
            ok = value <= absolute
        if self.as_json:
            print(json.dumps({"name": name, "value": round(value, 4), "unit": unit,
                              "limit": None if base is None else round(base, 4),
                              "ratio": None if ratio is None else round(ratio, 3), "min": round(min(values), 4),
                              "max": round(max(values), 4), "budget": budget if budget is not None else absolute,
                              "ok": ok, "rounds": len(values), **({} if of is None else {"of": of})}), flush=True)
            return
        budget_text = "" if budget is None and absolute is None else (f"{budget}x" if budget is not None else f"{absolute}")
        print(f"{name:<48}{value:>10.3f} {unit:<6}{min(values):>9.3f}{max(values):>9.3f}"
              f"{'' if base is None else f'{base:.3f}':>10}{'' if ratio is None else f'{ratio:.2f}':>7}"
              f"{budget_text:>8}{'' if ok is None else '  ok' if ok else '  OVER'}{'' if of is None else f'  of {of:,}'}",
              flush=True)
