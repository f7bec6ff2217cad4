"""Supervisors side by side: one small class each. All state is below `directory`, fresh for each run; service i is
`bench-svc i FIFO`, which tells on the FIFO when it began."""
import json
import os
import shutil
import signal
import subprocess

from harness import Hearth

NULL = subprocess.DEVNULL
PM2 = os.environ.get("PM2") or shutil.which("pm2")


class Peer:
    name = "?"
    package = "?"  # how one gets it
    pause = "none"  # the shortest pause that it can make before a restart

    def __init__(self, count, directory, fifo, bin_dir):
        self.count, self.dir, self.fifo, self.bin = count, directory, fifo, bin_dir
        self.process = None
        self.env = dict(os.environ)

    @classmethod
    def missing(cls):
        return None

    def command(self, i):
        return [f"{self.bin}/bench-svc", str(i), self.fifo]

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def launch(self, argv):
        self.process = subprocess.Popen(argv, env=self.env, stdin=NULL, stdout=NULL, stderr=NULL, cwd=self.dir,
                                        start_new_session=True)

    def root(self):
        return self.process.pid

    def stop(self):
        os.kill(self.root(), signal.SIGTERM)

    def ended(self):
        self.process.wait()

    def status(self):
        """argv of what shows all services, and of what shows one."""
        raise NotImplementedError


class HearthPeer(Peer):
    name = "hearth"

    def prepare(self):
        self.hearth = Hearth(self.bin, fifo=self.fifo)
        self.hearth.write(self.count, restart="always", extra='backoff = { initial = "0s", max = "1ms", jitter = 0 }\n')

    def start(self):
        self.launch([f"{self.bin}/hearth", "--dir", self.hearth.instance, "up", "--no-wait", "-f",
                     f"{self.hearth.dir}/p/hearth.toml"])

    def root(self):
        return self.hearth.get("/v1/instance")["keeper"]["pid"]

    def stop(self):
        self.ending = subprocess.Popen([f"{self.bin}/hearth", "--dir", self.hearth.instance, "shutdown"], stdin=NULL,
                                       stdout=NULL, stderr=NULL)

    def ended(self):
        self.ending.wait()
        shutil.rmtree(self.hearth.dir, ignore_errors=True)

    def status(self):
        return [f"{self.bin}/hearth", "--dir", self.hearth.instance, "status"]


class Supervisord(Peer):
    name = "supervisord"
    package = "apt-get install supervisor"

    @classmethod
    def missing(cls):
        return None if shutil.which("supervisord") else cls.package

    def prepare(self):
        text = (f"[unix_http_server]\nfile={self.dir}/sock\n[supervisord]\nlogfile={self.dir}/log\n"
                f"pidfile={self.dir}/pid\nchildlogdir={self.dir}\nnodaemon=true\nminfds=8192\n"
                "[rpcinterface:supervisor]\n"
                "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
                f"[supervisorctl]\nserverurl=unix://{self.dir}/sock\n")
        for i in range(self.count):
            text += (f"[program:s{i}]\ncommand={' '.join(self.command(i))}\nstartsecs=0\nautorestart=true\n"
                     "stdout_logfile=NONE\nstderr_logfile=NONE\n")
        self.file("conf", text)

    def start(self):
        self.launch(["supervisord", "-n", "-c", f"{self.dir}/conf"])

    def status(self):
        return ["supervisorctl", "-c", f"{self.dir}/conf", "status"]


class S6(Peer):
    name = "s6"
    package = "apt-get install s6"
    pause = "1 s"

    @classmethod
    def missing(cls):
        return None if shutil.which("s6-svscan") else cls.package

    def prepare(self):
        for i in range(self.count):
            self.file(f"scan/s{i}/run", "#!/bin/sh\nexec " + " ".join(self.command(i)) + "\n", 0o755)

    def start(self):
        self.launch(["s6-svscan", "-c", str(max(500, self.count + 50)), f"{self.dir}/scan"])

    def stop(self):
        subprocess.run(["s6-svscanctl", "-t", f"{self.dir}/scan"], check=True)

    def status(self):
        return ["/bin/sh", "-c", f"for d in {self.dir}/scan/s*; do s6-svstat $d; done"]


class Runit(Peer):
    name = "runit"
    package = "apt-get install runit"
    pause = "1 s, if it ran less than that"

    @classmethod
    def missing(cls):
        return None if shutil.which("runsvdir") else cls.package

    def prepare(self):
        for i in range(self.count):
            self.file(f"scan/s{i}/run", "#!/bin/sh\nexec " + " ".join(self.command(i)) + "\n", 0o755)
        # runsvdir waits for a second when the directory has changed in the current one.
        os.utime(f"{self.dir}/scan", (0, 0))

    def start(self):
        self.launch(["runsvdir", f"{self.dir}/scan"])

    def stop(self):
        os.kill(self.root(), signal.SIGHUP)

    def status(self):
        return ["/bin/sh", "-c", f"sv status {self.dir}/scan/s*"]


class Pm2(Peer):
    name = "pm2"
    package = "npm install pm2, and PM2=.../node_modules/.bin/pm2"

    @classmethod
    def missing(cls):
        return None if PM2 else cls.package

    def prepare(self):
        self.env["PM2_HOME"] = f"{self.dir}/pm2"
        self.env["PM2_DISCRETE_MODE"] = "true"
        self.file("pm2/touch", "")
        self.file("eco.json", json.dumps({"apps": [
            {"name": f"s{i}", "script": self.command(i)[0], "args": self.command(i)[1:], "interpreter": "none",
             "exec_mode": "fork", "autorestart": True, "max_restarts": 10**9, "min_uptime": 0, "restart_delay": 0,
             "out_file": "/dev/null", "error_file": "/dev/null"} for i in range(self.count)]}))

    def start(self):
        self.launch([PM2, "start", f"{self.dir}/eco.json"])

    def root(self):
        with open(f"{self.dir}/pm2/pm2.pid") as f:
            return int(f.read())

    def stop(self):
        self.ending = subprocess.Popen([PM2, "kill"], env=self.env, stdin=NULL, stdout=NULL, stderr=NULL)

    def ended(self):
        self.ending.wait()

    def status(self):
        return [PM2, "jlist"]


PEERS = (HearthPeer, Supervisord, S6, Runit, Pm2)
