#!/usr/bin/env python3
"""Makes the corpora that fuzzing begins with: tests/fuzz/corpus/NAME/seed-*.

Texts are written out here or taken from the cases of the unit tests; binary ones (plans, messages, indices, scripts of
bytes) are made as the formats in docs/formats say. Running it again changes nothing unless this file, those cases or a
format has changed. Inputs that fuzzing has found stand beside them under other names (`./dev fuzz --merge`), and are
left alone.
"""
import pathlib
import random
import struct

here = pathlib.Path(__file__).resolve().parent
units = here.parent / "unit"
part = b"\x1e"


def put(target, name, data):
    directory = here / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"seed-{name}").write_bytes(data if isinstance(data, bytes) else data.encode())


def forget_seeds():
    for old in (here / "corpus").glob("*/seed-*"):
        old.unlink()


def config():
    # Every fifth of the broken files: their shapes repeat, and fuzzing finds its way from one to the next.
    for path in sorted((units / "config/bad").glob("*.toml"))[::5]:
        if path.stat().st_size < 2048:
            put("config", path.stem, b"t" + path.read_bytes())
    put("config", "good", 't[service.web]\ncommand = ["./web", "${HOME}/x", "{index}"]\nreplicas = 2\n'
        'ready = { http = "http://127.0.0.1:80/health", interval = "2s" }\ndepends_on = ["db"]\n'
        'env = { A = "1" }\nlimits = { nofile = 1024 }\n[service.db]\ncommand = "redis-server --port 1"\n'
        'type = "task"\n[vars]\nx = "y"\n[template.t]\nnice = 3\n[defaults]\nstop_timeout = "3s"\n')
    for number, text in enumerate(documents):
        put("config", f"document-{number}", "j" + text)


documents = [
    '{"format":1,"project":"p","services":[{"name":"a","command":["sleep","1"],"cwd":"/"}]}',
    '{"format":1,"version":7,"project":"shop","path":"/srv/shop/hearth.toml","environment":["LANG=C","PATH=/bin:/usr/bin",'
    '{"hex":"413dff"}],"services":[{"name":"db","command":["redis-server","{fd:http}"],"cwd":"/srv",'
    '"ready":{"type":"notify"},"env":["A=1","LISTEN_FDS=9"],"umask":18,"nice":-3,"oom_score_adj":7,"uid":7,"gid":8,'
    '"groups":[1,2],"limits":[{"name":"nofile","soft":100,"hard":"unlimited"}],"around":{"io_class":"idle",'
    '"cpus":[0,3,70],"stdin":"file","stdin_path":"/dev/zero","library_path":["/l"],"preload":["/p.so"]},'
    '"watchdog_ns":1000000000},{"name":"web","command":["/bin/web"],"replicas":3,"depends_on":[{"service":"db"}]}]}',
]


def importers():
    cases = units / "importers/cases"
    read = lambda name: (cases / name).read_bytes()
    put("importers", "supervisord", b"s" + read("six_programs.conf") + part + read("more.ini"))
    put("importers", "pm2", b"j" + read("ecosystem.json"))
    put("importers", "procfile", b"p" + read("Procfile") + part + read("dotenv"))
    put("importers", "units", b"u" + read("web.service") + part + read("db.service"))
    put("importers", "units-2", b"u" + read("worker.service") + part + read("cron.service"))
    put("importers", "pm2-array", 'j[{"name":"api","script":"a.js","instances":3,"increment_var":"PORT",'
        '"instance_var":"ME","env":{"PORT":3000}}]')
    put("importers", "words", "wprog \"a \\\"b\\\" c\" 'd $e ${F} \\g' h\\ i \"\" %%")
    put("importers", "group", "s[program:a]\ncommand=%(here)s/a --n %(process_num)02d ; b\nnumprocs=2\n"
        "process_name=%(program_name)s_%(process_num)d\nenvironment=A=\"1\",B='%(ENV_HOME)s'\nstopsignal=INT\n"
        "exitcodes=0,2\nautorestart=unexpected\n[group:g]\nprograms=a\n[include]\nfiles=*.ini\n"
        "[fcgi-program:f]\nsocket=tcp://localhost:9000\ncommand=f\n[eventlistener:e]\ncommand=e\n")


def notify():
    texts = ["READY=1", "STATUS=a\nSTATUS=b", "MAINPID=3\nMAINPID=x", "WATCHDOG=1\nWATCHDOG=trigger",
             "X_MINE=1\nMONOTONIC_USEC=99\n\n=\nREADY=1\0\0", "WATCHDOG_USEC=18446744073709551615\nERRNO=4095",
             "FDSTORE=1\nFDNAME=web:1\nFDPOLL=0", "FDSTOREREMOVE=1\nFDNAME=store", "BARRIER=1", "RELOADING=1\nREADY=1",
             "STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000",
             "X_HEARTH_STATE=busy\nX_HEARTH_ITEM=frame 7\nX_HEARTH_DONE=7\nX_HEARTH_TOTAL=9\n", "X_HEARTH_STATE=idle"]
    for number, text in enumerate(texts):
        put("notify", f"{number:02}", text)
    put("notify", "utf8", b"STATUS=ok \xe2\x82\xac\nSTATUS=a\xe2\x82\nSTATUS=\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf\n"
        + b"X_HEARTH_ITEM=" + b"\xe2\x82\xac" * 20)
    put("notify", "long", b"STATUS=" + b"x" * 158 + b"\xe2\x82\xac")


def probe():
    for number, line in enumerate(["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 Not Found\r\nX: y\r\n", "HTTP/1.1 20", "SSH-2.0\r\n",
                                   "HTTP/1.1 503\n"]):
        put("probe", f"status-{number}", "s" + line)
    for number, url in enumerate(["http://127.0.0.1:8080/health?x=1#y", "http://[::1]:80", "http://localhost/", "unix:/run/x:/url",
                                  "https://x/", "http://:80/", "unix:/run/x"]):
        put("probe", f"url-{number}", "u" + url)
    for number, text in enumerate(["127.0.0.1:80", "[::1]:443", "*:80", "localhost:65535", "unix:/run/x"]):
        put("probe", f"address-{number}", "a" + text)
    frame = lambda text: struct.pack(">I", len(text)) + text.encode()
    put("probe", "frame-event", b"f\x03" + frame('{"status":"event","n":1}') + frame('{"status":"ok"}'))
    put("probe", "frame-error", b"f\x01" + frame('{"status":"error","error":{"a":[1]},"message":"no\\u0000"}'))
    put("probe", "frame-long", b"f\x0f" + struct.pack(">I", 70_000) + b"x" * 300)
    put("probe", "frame-http", b"f\x00HTTP/1.1 200 OK\r\n")
    put("probe", "text-json", 't{"ts":"2023-11-14T22:13:20.123456Z","run":7,"text":"a \\"b\\" \\t\\u0001\\udbff\\udeff"}')
    put("probe", "text-stamped", "t2023-11-14T22:13:20.123456Z a line")


def plan():
    for number, text in enumerate(documents):
        put("plan", f"document-{number}", "d" + text)
    header_bytes = 128
    body = b""

    def add(data, align=1):
        nonlocal body
        body += b"\0" * (-(header_bytes + len(body)) % align)
        at = header_bytes + len(body)
        body += data
        return at

    def table(records, form, align):
        return add(b"".join(struct.pack(form, *one) for one in records), align), len(records)

    strings = lambda texts: table([(add(text + b"\0"),) for text in texts], "<I", 4)
    paths = strings([b"/usr/bin/redis-server", b"/bin/redis-server"])
    argv = strings([b"redis-server", b"--port", b"6379"])
    env = strings([b"A=1", b"HEARTH_RUN=77"])
    listen = add(b"LISTEN_PID=0000000000\0")
    patches = table([(listen + 11,)], "<I", 4)
    descriptors = table([(0, 0), (1, 1), (1, 2)], "<Ii", 4)
    limits = table([(7, 0, 1024, 4096)], "<IIQQ", 8)
    groups = table([(10,), (20,)], "<I", 4)
    cwd = add(b"/srv\0")
    cpus = table([(15,)], "<Q", 8)
    entrance = add(b"/dev/zero\0")
    keep = -(1 << 31)
    tables = [paths, argv, env, patches, descriptors, limits, groups]
    head = struct.pack("<4sIIIQ", b"HTP1", 2, header_bytes + len(body), 4, 77)
    head += b"".join(struct.pack("<II", *one) for one in tables)
    head += struct.pack("<IiIIiiii", cwd, 2, 2**32 - 1, 2**32 - 1, keep, keep, keep, 2 << 13 | 4)
    head += struct.pack("<IIII", *cpus, entrance, 0)
    assert len(head) == header_bytes
    put("plan", "whole", b"r\x03" + head + body)
    put("plan", "head", b"r\x03" + head)


def messages():
    def message(kind, records, rest=b"", count=None, descriptors=0):
        return bytes([descriptors]) + struct.pack("<II", kind, len(records) if count is None else count) + \
            b"".join(records) + rest
    park = lambda kind, name: struct.pack("<IIQQ104s", kind, 3, 77, 0, name)
    run = struct.pack("<IIQ", 3, 0, 77)
    put("messages", "hello", message(1, [struct.pack("<IIII", 2, 1, 1, 5)], descriptors=11))
    put("messages", "spawner", message(2, [struct.pack("<II", 0, 2)], descriptors=1))
    put("messages", "parked", message(3, [park(1, b""), park(3, b"web")], descriptors=2))
    put("messages", "ready", message(4, []))
    put("messages", "signal", message(6, [struct.pack("<IiQQ", 3, 15, 77, 9)] * 3))
    put("messages", "reap", message(7, [run] * 4))
    put("messages", "adopt", message(10, [run], descriptors=1))
    put("messages", "finish", message(12, [struct.pack("<II", 1, 0)]))
    put("messages", "short-plan", message(14, [run], b"HTP1" + b"\0" * 90, descriptors=3))
    put("messages", "follow", message(15, [struct.pack("<IiQQ", 3, 4711, 77, 5)], descriptors=1))
    put("messages", "count", message(6, [run], count=2**32 - 1))
    put("messages", "torn", b"\x02\x06\0\0")
    put("messages", "empty", b"\x01")


def events(numbers):
    return b"".join(b'{"id":%d,"time":"2026-01-31T08:15:00.250Z","kind":"note","text":"t"}\n' % n for n in numbers)


def journal():
    put("journal", "file", b"r\x03" + events(range(1, 8)))
    put("journal", "file-torn", b"r\x00" + events(range(1, 8)) + b'{"id":8,"ti')
    put("journal", "file-foreign", b"r\x05" + events([1, 2]) + b"\0\0\xffnot ours\n" + events([9]) + b"\n\n")
    put("journal", "line", b"l" + struct.pack("<Q", 41) + struct.pack("<q", 1_700_000_000 * 10**9) + b"\x03\x0ablog.web.0"
        + b"\x02\x07\x64\0\0\0\x01\x02\x00\x09\x05ls -l\x10text \"\\\x1b\xff\xe2\x82\xac.")
    roll = random.Random(4)
    for number in range(6):
        put("journal", f"life-{number}", b"j" + bytes(roll.choice([0, 0, 2, 2, 3, 4, 5, 9, 40, 255]) for _ in range(400)))


def state_files():
    put("state_files", "flat", 'f{"format":1,"label":"a\\"b\\\\\\u000a","up":true,"n":18446744073709551615,"runs":[')
    put("state_files", "runs", 'r{"format":1,"boot_id":"b-1","pid_namespace":4026531836,"instance":"/run/hearth/main","next_run":31,'
        '"runs":[\n{"label":"shop.web.0","document":3,"service":0,"replica":0,"run":30,"pid":4711,"start_ticks":123456,'
        '"want_up":true},\n{"label":"shop.db.0","document":3,"service":1,"replica":0,"run":0,"pid":0,"start_ticks":0,'
        '"want_up":false}\n]}\n')
    put("state_files", "runs-none", 'r{"format":1,"boot_id":"","pid_namespace":0,"instance":"","next_run":0,"runs":[\n]}\n')
    put("state_files", "runs-torn", 'r{"format":1,"boot_id":"b","next_run":2,"runs":[\n{"label":"a.b.0","run":1},\n{"lab')
    put("state_files", "mark", b"m/run/x \"y\"\nshop.web.0\n" + struct.pack("<QiI", 77 << 1, 4711, 1_700_000_000) + b"/run/hearth/\xff\n")


def api():
    key = "abababababababababababababababab"
    def request(name, method, target, with_key="", last="", body=""):
        put("api", name, f"{method}\n{target}\n{with_key}\n{last}\n{body}")
    request("status", "GET", "/v1/status")
    request("status-text", "GET", "/v1/status?format=text&color=1&columns=40&names=web,blog.d*")
    request("status-unknown", "GET", "/v1/status?names=wbe&format=xml")
    request("instance", "HEAD", "/v1/instance")
    request("health", "GET", "/v1/%68ealth")
    request("specification", "GET", "/v1/specification?name=web")
    request("order", "GET", f"/v1/orders/{key}?wait_ms=1&seen=00ff")
    request("order-bad", "GET", "/v1/orders/xyz")
    request("events", "GET", "/v1/events?after=3&follow=0&names=blog.web")
    request("events-again", "GET", "/v1/events?after=now", last="7")
    request("nothing", "GET", "/v2")
    request("method", "DELETE", "/v1/orders", key)
    for number, text in enumerate(documents):
        request(f"apply-{number}", "POST", "/v1/apply", key,
                body='{"document":' + text + ',"start":true,"reload":false,"dry_run":false}')
    for number, body in enumerate([
            '{"verb":"start","names":["web"],"dependencies":false}', '{"verb":"stop","all":true}',
            '{"verb":"scale","replicas":{"web":4}}', '{"verb":"signal","names":["web"],"signal":15,"all_processes":true}',
            '{"verb":"down","path":"/p/hearth.toml","force":true}', '{"verb":"shutdown"}',
            '{"verb":"down","project":"blog"}', '{"verb":"dance","names":[""]}']):
        request(f"mutation-{number}", "POST", "/v1/orders", key, body=body)


def answers():
    slot = ('{"outcome":"failed","project":"app","name":"web","index":2,"state":"backoff","ready":false,'
            '"has_readiness":true,"pid":null,"restarts":4,"reason_text":"exited with code 1","status":"x",'
            '"log_directory":"/l","last_exit":{"code":1}}')
    put("answers", "order", 'o\0{"order":3,"verb":"apply","settled":true,"seen":"00ff","slots":[' + slot + ']}')
    put("answers", "accepted", 'a\1{"order":7,"notes":["a"],"slots":2,"removed":["blog.web.1"],"changes":[{"service":"web",'
        '"measure":"restart","keys":["command"],"replicas_before":1,"replicas":2}]}')
    put("answers", "instance", 'i\0{"version":"1","supervisor":{"pid":2},"keeper":{"pid":1}}')
    put("answers", "services", 's\0{"services":[' + slot + ',1,null,{"name":5}]}')
    put("answers", "refusal", 'o\4{"error":{"operation":"run","subject":"web","reason":"it is there","hint":"choose",'
        '"remedy":"conflict","errno":null}}')
    put("answers", "event", 'e{"id":9,"time":"2026-01-31T08:15:00.250Z","kind":"exit","service":"blog.web.0","pid":7,"run":3,'
        '"exit":{"code":1},"statistics":{"run_ms":61000,"restarts":2,"cpu_user_ms":5,"cpu_system_ms":7,"max_rss_kib":20000},'
        '"by":{"pid":4,"uid":0,"command":"hearth stop"},"text":"exited"}')
    put("answers", "event-state", 'e{"id":10,"kind":"state","from":"starting","to":"running","text":"ready","cause":9}')
    put("answers", "stream", 'v\4id: 17\nevent: state\ndata: {"id":17}\n\nevent: gap\ndata: {"after":3,"oldest":120}\n\n: end\n\n')
    put("answers", "report", 'r\0{"order":3,"slots":[]}\n')
    for number, text in enumerate(["2025-01-31T12:00:00Z", "2025-01-31 12:00:00.5+01:00", "2025-02-30", "12:00", "1h30m ago", "now",
                                   "yesterday 14:00", "@1738324800", "5 parsecs"]):
        put("answers", f"time-{number}", "t" + text)


def logs():
    head = lambda: bytes([2]) + struct.pack("<q", 1_700_000_000 * 10**9)
    index = lambda number, records: b"i" + struct.pack("<4sIQ", b"HTI1", 1, number) + \
        b"".join(struct.pack("<qQ", 1_700_000_000 * 10**9 + time, offset) for time, offset in records)
    text = b"l" + b"".join(b"line %d\n" % n for n in range(20))
    put("logs", "plain", head() + text + part + index(1, [(0, 0), (10**7, 40), (2 * 10**7, 90)]))
    put("logs", "rotated", head() + b"cone\ntwo\nthr" + part + b"lee\nfour\n" + part + b"lunfinished")
    put("logs", "stamped", head() + b"l2023-11-14T22:13:20.123456Z a\n2023-11-14T22:13:21.000000Z b\n")
    put("logs", "json", head() + b'l{"ts":"2023-11-14T22:13:20.123456Z","run":7,"text":"a"}\n{"ts":"2023-02-31T00:00:60.0')
    put("logs", "compressed", head() + b"c" + b"the same again\n" * 12 + part + b"c" + b"\n" * 70)
    put("logs", "index-torn", head() + text + part + index(1, [(0, 0), (10**7, 4000)]) + b"\0" * 23)
    put("logs", "index-other", head() + text + part + index(9, [(5, 5)]))
    table = struct.pack("<II", 30, 100) + struct.pack("<IBI", 1, 0, 0x8f92eab1)
    put("logs", "frames", head() + b"z" + b"x" * 30 + struct.pack("<II", 0x184d2a5e, len(table)) + table)
    put("logs", "frames-many", head() + b"z" + b"x" * 30 + struct.pack("<IBI", 2**32 - 1, 0, 0x8f92eab1))


def lines():
    texts = [b"one\n\ntwo\nth", b'a "b" \\ \t\x01\n', b"\xe2\x82\xac \xf0\x9f\x94\xa5\n\xe2\x82", b"\xff\xfe\xf4\x8f\xba\x80\n\xed\xa0\x80\n",
             b"x" * 700 + b"\nnext\n", b"a\0b\r\nno end"]
    for number, text in enumerate(texts):
        for form in range(3):
            put("lines", f"{number}-{form}", bytes([form, (0, 25)[number % 2], 1 + 6 * form]) + text)


def pages():
    roll = random.Random(7)
    ops = [0, 1, 2, 3, 4, 5, 6, 7]
    for number in range(8):
        script = b"w"
        for _ in range(30):
            op = roll.choice(ops)
            script += bytes([op])
            if op in (0, 1, 7):
                script += bytes([roll.randrange(6)])
            if op in (0, 1, 2):
                script += struct.pack("<H", roll.choice([120, 872, 872, 568, 600, 40]))
            if op in (0, 1, 2, 7):
                text = bytes(roll.randrange(256) for _ in range(roll.randrange(12)))
                script += bytes([len(text)]) + text + roll.choice([b"", b"\x01\x05"])
        put("pages", f"life-{number}", script)
    put("pages", "stamps", b"h" + struct.pack("<Q", 5) + (b"\x01" + struct.pack("<QBQB", 5, 1, 6, 1) + b"\x01" +
        struct.pack("<QIQ", 6, 9, 6)) * 3)
    identity = b"0123abcd-0000-0000-0000-000000000000".ljust(40, b"\0") + struct.pack("<QQQq", 4026531836, 1, 2, 3)
    put("pages", "heads", b"t\x01\x01\x01\x01" + struct.pack("<III", 9, 2**32 - 1, 6) + identity * 2)
    put("pages", "heads-other", b"t\x00HTB1\x00\x03\0\0\0\x01\x00" + struct.pack("<QIII", 5, 1, 4, 5) + identity + identity[::-1])


def runs():
    roll = random.Random(11)
    number = lambda value: b"\x03" + struct.pack("<q", value)
    named = lambda which: bytes([0, which])  # members, strangers, PID 1, 0, -1, the keeper, and runs of others
    other = lambda old, which: bytes([2, 0 if old else 1, which])  # of an earlier keeper, or a child that is no run yet
    lie = lambda entry, field, value, told=True: bytes([0, entry, field]) + value + bytes([told])
    ring, record, look = b"\x04", b"\x0b", b"\x0d"
    spawn = lambda entry: bytes([5, entry])
    end = lambda which, status: bytes([6, which, status])
    signal = lambda entry, sig: bytes([7, entry, sig, 1])
    reap, adopt = lambda entry: bytes([8, entry]), lambda entry: bytes([9, entry])
    follow = lambda entry, stray, which: bytes([10, entry, stray, which, 7])
    bury = b"\x0c\x01"
    stranger = lambda entry, who: lie(entry, 0, number(900 + entry), False) + lie(entry, 2, who)
    life = spawn(0) + signal(6, 15) + end(4, 3) + reap(6)
    scripts = {
        "ended": spawn(0) + end(4, 3),  # its leader is dead, the rest of its group is not
        "life": life + spawn(1) + spawn(2) + record + end(4, 9) + life,
        "members": b"".join(stranger(i, named(i)) for i in range(4)) + ring + life
        + b"".join(signal(i, 9) + lie(i, 5, number(3)) + reap(i) for i in range(4)),
        "strangers": b"".join(stranger(i, named(4 + i)) for i in range(6)) + ring + bury
        + b"".join(signal(i, 15) for i in range(6)) + spawn(0),
        "others": spawn(0) + stranger(1, named(12)) + ring + signal(1, 15) + end(4, 1) + reap(1) + reap(6) + life,
        "stray": stranger(2, other(False, 0)) + ring + signal(2, 15) + record + end(0, 7) + reap(2) + look,
        "old": stranger(3, other(True, 0)) + adopt(3) + signal(3, 15) + record + end(2, 5) + reap(3) + look,
        "follow": stranger(1, other(False, 0)) + ring + end(0, 0) + follow(1, 1, 1) + signal(1, 10) + record + end(1, 4)
        + reap(1),
        "claims": lie(0, 1, number(2**32 - 1)) + lie(1, 1, number(3)) + bury + lie(2, 4, number(200)) + reap(2) + life,
        "phases": stranger(0, other(False, 0)) + ring + lie(0, 5, number(3)) + reap(0) + lie(0, 5, number(7)) + look,
        "end": stranger(0, other(False, 1)) + ring + lie(0, 10, number(-1)) + lie(0, 11, number(2**32 - 1)) + spawn(3)
        + bytes([0, 0, 12, 1, 9, 0, 1, 0]),
    }
    for name, script in scripts.items():
        put("runs", name, script)
    for count in range(6):
        put("runs", f"mixed-{count}", bytes(roll.randrange(256) if roll.random() < 0.4 else roll.randrange(14)
                                            for _ in range(400)))


def takeover():
    lie = lambda entry, field, value: bytes([0, entry, field, 1]) + struct.pack("<q", value)
    run = lambda ms: bytes([4, ms])
    kill, everybody, truth = b"\x05", b"\x06", lambda entry: bytes([3, entry])
    order = lambda verb, which: bytes([7, verb, which])
    scripts = {
        "pid": lie(0, 2, -1) + run(50) + kill + run(50),
        "exited": lie(0, 6, 1) + lie(0, 8, 99) + lie(0, 10, -2**63) + run(200) + kill + run(200),
        "run": lie(2, 0, 2**63 - 1) + run(20) + kill + run(20) + truth(2) + run(100),
        "stage": lie(0, 3, 200) + lie(0, 4, -5) + lie(0, 2, 0) + run(100) + everybody + run(250),
        "use": lie(2, 13, -2**63) + lie(2, 6, 1) + run(100) + order(1, 1) + run(200),
        "main": lie(0, 7, 1) + run(30) + kill + run(30) + order(2, 1) + run(250),
        "op": lie(0, 11, 2**63 - 1) + order(1, 1) + run(250) + kill + run(250),
        "everybody": everybody + run(100) + lie(0, 2, 1) + lie(2, 5, 0) + everybody + run(250) + order(0, 0),
        "other": lie(1, 0, 1) + lie(3, 0, 2) + kill + run(250) + order(2, 0) + run(250),
    }
    for name, script in scripts.items():
        put("takeover", name, script)


if __name__ == "__main__":
    forget_seeds()
    for make in (answers, api, config, importers, journal, lines, logs, messages, notify, pages, plan, probe, runs,
                 state_files, takeover):
        make()
