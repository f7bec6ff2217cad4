#include "recorder.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <regex>
#include <sys/stat.h>
#include <unistd.h>

#include "config/document_json.h"
#include "model/slot_state.h"
#include "sample_pieces.h"
#include "supervisor/head.h"
#include "wire/decision_page.h"
#include "wire/log_page.h"
#include "wire/slot_table.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;

// Says something of nearly every key. It need not be able to start: nobody starts it.
constexpr const char* full_text = R"(
[service.full]
autostart = false
command = ["cat", "--number", "{fd:http}"]
cwd = "@WORK@"
env = { GREETING = "\"Grüße\" an alle", EMPTY = "" }
tags = ["night", "batch"]
umask = "027"
nice = 5
oom_score_adj = 300
limits = { core = 0, nofile = 4096, memlock = "unlimited" }
no_new_privs = true
capabilities = []
sandbox = { write_paths = ["@WORK@"], deny_syscalls = ["@default"] }
cgroup = { memory_high = "512MiB", memory_max = "1GiB", pids_max = 100, cpu_max = "150%", cpu_weight = 200 }
io_priority = "best-effort:6"
cpus = "0"
stdin = "file:/dev/null"
library_path = ["/opt/shop/lib"]
restart = "always"
backoff = { initial = "250ms", max = "20s", factor = 1.5, jitter = 0.25, reset_after = "2m" }
max_restarts = 7
restart_window = "90s"
max_failed_starts = 4
retry_after = "5m"
success_exit_codes = [0, 3]
depends_on = { web = { condition = "started", restart = true } }
ready = { type = "http", url = "http://127.0.0.1:8080/health", expect_status = 204, interval = "3s", timeout = "2s", failure_threshold = 5 }
live = { type = "exec", command = ["true"], interval = "30s" }
max_memory = "900MiB"
start_timeout = "2m"
watchdog = "20s"
stop_signal = "INT"
stop_timeout = "15s"
reload_signal = "USR1"
listen = [{ name = "http", address = "unix:shop.sock", backlog = 16 }]
fdstore_max = 3
before_start = { command = ["true"], timeout = "4s" }
after_stop = ["true"]
reload_command = ["true"]
ready_file = "full.ready"
pid_file = "full.pid"
log = { format = "stamped", max_size = "1MiB", max_files = 4, max_total = "8MiB", max_age = "1d", per_process = true, full_wait = "5s" }
)";

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  if (what.empty()) return;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

// Each number that follows one of these is what `by` says of it.
std::string renumber(const std::string& text, const std::regex& before,
                     const std::function<std::string(const std::string&)>& by) {
  std::string out;
  auto from = text.cbegin();
  for (std::sregex_iterator found(text.begin(), text.end(), before), end; found != end; ++found) {
    const std::smatch& match = *found;
    out.append(from, match[1].second);
    out += by(match[2].str());
    from = match[0].second;
  }
  return out.append(from, text.cend());
}

template <typename Number>
Number get(const std::string& bytes, std::size_t at) {
  Number value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
template <typename Number>
void set(std::string& bytes, std::size_t at, Number value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

std::string file(const std::string& path) {
  const Result<std::string> text = os::read_file(path, 16u << 20);
  EXPECT_TRUE(text) << text.error().text();
  return text.value_or("");
}

std::string last_line(const std::string& text) {
  if (text.empty()) return "";
  const std::size_t at = text.rfind('\n', text.size() - 2);
  return text.substr(at == std::string::npos ? 0 : at + 1);
}

}  // namespace

// hearth gives services the environment of whoever calls `up`: here, nobody's.
Output Recorder::clean(const std::vector<std::string>& words) {
  std::vector<std::string> all = {bin("hearth"), "--dir", directory};
  all.insert(all.end(), words.begin(), words.end());
  const Output output = execute(all, [] {
                          ::clearenv();
                          ::setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
                          ::setenv("LANG", "C.UTF-8", 1);
                        }).wait();
  EXPECT_EQ(0, output.code) << words[0] << ": " << output.all();
  return output;
}

Actor& Recorder::actor(const std::string& label) {
  while (!actors_.contains(label)) {
    Actor actor = stage->enter();
    if (!actor.here()) break;
    const std::string its = actor.label;
    actors_[its] = std::move(actor);
  }
  EXPECT_TRUE(actors_[label].here()) << label << " does not come";
  return actors_[label];
}

void Recorder::write_project() {
  std::string full = full_text;
  replace_all(full, "@WORK@", work);
  project("[project]\nname = \"shop\"\n[service.web]\nlog = { compress = true }\n" + puppet("web") +
          "[service.db]\nrestart = \"on-failure\"\nbackoff = { initial = 0 }\nlog = { format = \"json\" }\n" +
          "depends_on = [\"web\"]\n" + puppet("db") +
          "[service.crash]\nmax_restarts = 1\nbackoff = { initial = 0 }\nlog = { format = \"stamped\" }\n" +
          puppet("crash") + "[service.task]\ntype = \"task\"\ncommand = [\"echo\", \"the task is done\"]\n" +
          "[service.off]\n" + puppet("off") + full);
}

void Recorder::rotate_and_compress() {
  EXPECT_EQ("ok", actor("web").ask("lines 300"));
  EXPECT_TRUE(until([&] { return logged("web").find("line 300\n") != std::string::npos; }));
  clean({"stop", "off"});
  clean({"logs", "--rotate", "web"});
  EXPECT_EQ("ok", actor("web").ask("lines 20"));
  const std::string logs = directory + "/logs";
  EXPECT_TRUE(until([&] {
    bool packed = false, whole = false;
    for (const std::string& name : files_below(logs)) {
      packed |= name.ends_with("00000001.log.zst");
      whole |= name.find(".web.") != std::string::npos && name.ends_with("00000001.log");
    }
    return packed && !whole;
  })) << "the first file of web's log is not compressed";
}

// What it writes behind: the list of runs, and the copy of the journal.
void Recorder::wait_for_the_disk() {
  const std::string last = last_line(hearth({"events", "-n", "all", "--json"}).out);
  EXPECT_FALSE(last.empty());
  const std::string db = "\"pid\":" + std::to_string(actor("db").pid) + ",";
  EXPECT_TRUE(until([&] {
    return last_line(os::read_file(directory + "/events.jsonl").value_or("")) == last &&
           os::read_file(directory + "/runs.json").value_or("").find(db) != std::string::npos;
  }));
}

// It is in memory alone, so its descriptor has to be had before everybody dies.
void Recorder::open_log_page() {
  const std::string place = "/proc/" + std::to_string(status().keeper) + "/fd";
  for (const fs::directory_entry& entry : fs::directory_iterator(place)) {
    std::error_code error;
    if (fs::read_symlink(entry.path(), error).string().starts_with("/memfd:hearth-log-page"))
      log_page_ = os::Fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
  }
  EXPECT_TRUE(log_page_) << "the keeper has no log page";
}

void Recorder::play() {
  write_project();
  ASSERT_EQ(0, clean({"up"}).code);
  for (const char* label : {"web", "db", "crash", "off"}) ASSERT_TRUE(actor(label).here());
  EXPECT_EQ("ok", actor("crash").ask("print about to fail"));
  for (int i = 0; i < 2; ++i) {
    actor("crash").order("exit 7");
    EXPECT_TRUE(actor("crash").wait_end());
    forget("crash");
    if (i == 0) (void)actor("crash");
  }
  EXPECT_TRUE(until_state("crash", "failed"));
  EXPECT_EQ("ok", actor("db").ask("print first life"));
  EXPECT_TRUE(until([&] { return logged("db").find("first life") != std::string::npos; }));
  EXPECT_TRUE(actor("db").kill(SIGKILL));
  EXPECT_TRUE(actor("db").wait_end());
  forget("db");
  EXPECT_EQ("ok", actor("db").ask("print second life"));
  EXPECT_EQ("ok", actor("db").ask("notify STATUS=1,200 customers"));
  EXPECT_TRUE(until([&] { return service("db").status == "1,200 customers"; }));
  EXPECT_TRUE(until([&] { return logged("db").find("second life") != std::string::npos; }));
  EXPECT_TRUE(until_state("task", "completed"));
  rotate_and_compress();
  wait_for_the_disk();
  open_log_page();
  kill_everything();
}

std::uint32_t Recorder::name_of_pid(std::uint32_t pid) {
  if (pid == 0) return 0;
  return pids_.try_emplace(pid, placeholder::pid + static_cast<std::uint32_t>(pids_.size()) + 1).first->second;
}
std::uint64_t Recorder::name_of_ticks(std::uint64_t ticks) {
  if (ticks == 0) return 0;
  return ticks_.try_emplace(ticks, placeholder::ticks + ticks_.size() + 1).first->second;
}

std::string Recorder::without_places(std::string text) {
  static const std::regex pid("(\"pid\":|PID )([0-9]+)"), ticks("(\"start_ticks\":)([0-9]+)"),
      name_space("(\"pid_namespace\":)([0-9]+)"), uid("(\"uid\":)([0-9]+)"), gid("(\"gid\":|\"groups\":\\[)([0-9]+)");
  const auto always = [](std::uint64_t value) { return [value](const std::string&) { return std::to_string(value); }; };
  text = renumber(text, pid, [&](const std::string& digits) {
    return std::to_string(name_of_pid(static_cast<std::uint32_t>(std::stoul(digits))));
  });
  text = renumber(text, ticks,
                  [&](const std::string& digits) { return std::to_string(name_of_ticks(std::stoull(digits))); });
  text = renumber(text, name_space, always(placeholder::pid_namespace));
  text = renumber(text, uid, always(placeholder::uid));
  text = renumber(text, gid, always(placeholder::gid));
  replace_all(text, bin("").substr(0, bin("").size() - 1), placeholder::bin);
  replace_all(text, base, placeholder::base);
  std::string boot = file("/proc/sys/kernel/random/boot_id");
  replace_all(text, boot.substr(0, boot.find('\n')), placeholder::boot_id);
  return text;
}

void Recorder::keep(const std::string& name, const std::string& bytes) {
  const std::string path = place_ + "/" + name;
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  write_file(path, bytes);
}

void Recorder::keep_page(const std::string& name, const std::string& bytes) {
  EXPECT_EQ(std::string::npos, bytes.find(base)) << name << " says where it was recorded";
  EXPECT_EQ(std::string::npos, bytes.find(bin(""))) << name << " says where it was recorded";
  keep(name + ".zst", compressed(bytes));
}

void Recorder::keep_directory() {
  const auto keep_text = [&](const std::string& name) {
    keep("instance/" + name, without_places(file(directory + "/" + name)));
  };
  keep_text("runs.json");
  keep_text("events.jsonl");
  for (const std::string& name : files_below(directory + "/spec")) keep_text("spec/" + name);
  for (const std::string& name : files_below(directory + "/logs")) {
    const std::string bytes = file(directory + "/logs/" + name);
    EXPECT_EQ(std::string::npos, bytes.find(base)) << name << " says where it was recorded";
    if (!name.starts_with(".rotate")) keep("instance/logs/" + name, bytes);
  }
}

void Recorder::name_processes_of_table(std::string& bytes) {
  using wire::SlotTable;
  const auto name = [&](std::size_t pid, std::size_t ticks) {
    set(bytes, pid, name_of_pid(get<std::uint32_t>(bytes, pid)));
    set(bytes, ticks, name_of_ticks(get<std::uint64_t>(bytes, ticks)));
  };
  set(bytes, offsetof(SlotTable, keeper_pid), name_of_pid(get<std::uint32_t>(bytes, offsetof(SlotTable, keeper_pid))));
  static_assert(offsetof(SlotTable, spawner) == offsetof(SlotTable, supervisor) + 2 * sizeof(wire::Member));
  for (std::size_t i = 0; i < 2 + wire::spawner_count; ++i) {
    const std::size_t member = offsetof(SlotTable, supervisor) + i * sizeof(wire::Member);
    name(member + offsetof(wire::Member, pid), member + offsetof(wire::Member, start_ticks));
  }
  for (std::size_t i = 0; i < wire::max_entries; ++i) {
    const std::size_t entry = offsetof(SlotTable, entry) + i * sizeof(wire::RunEntry);
    name(entry + offsetof(wire::RunEntry, pid), entry + offsetof(wire::RunEntry, start_ticks));
  }
  wire::StateIdentity identity{};
  std::strcpy(identity.boot_id, placeholder::boot_id);
  identity.pid_namespace = placeholder::pid_namespace;
  identity.device = placeholder::device;
  identity.inode = placeholder::inode;
  identity.birth_ns = static_cast<std::int64_t>(placeholder::birth);
  set(bytes, offsetof(SlotTable, identity), identity);
  set(bytes, offsetof(SlotTable, state_id), placeholder::state_id);
}

void Recorder::name_processes_of_page(std::string& bytes) {
  using wire::DecisionPage;
  set(bytes, offsetof(DecisionPage, state_id), placeholder::state_id);
  for (std::size_t i = 0; i < std::size_t{wire::max_slots} * 2; ++i) {
    const std::size_t copy = offsetof(DecisionPage, slot) + i * sizeof(wire::SlotCopy);
    if (get<std::uint64_t>(bytes, copy + offsetof(wire::SlotCopy, stamp)) == 0) continue;
    const std::size_t state = copy + offsetof(wire::SlotCopy, bytes);
    const std::size_t main = state + offsetof(SlotState, health) + offsetof(Health, main_pid);
    set(bytes, main, name_of_pid(get<std::uint32_t>(bytes, main)));
    for (std::size_t cell = state + offsetof(SlotState, cell), end = cell + 2 * sizeof(RunCell); cell < end;
         cell += sizeof(RunCell)) {
      const std::size_t pid = cell + offsetof(RunCell, pid), ticks = cell + offsetof(RunCell, start_ticks);
      set(bytes, pid, name_of_pid(get<std::uint32_t>(bytes, pid)));
      set(bytes, ticks, name_of_ticks(get<std::uint64_t>(bytes, ticks)));
    }
  }
}

// The journal has paths in it, and so another length wherever it is filled in.
void Recorder::name_journal_of_page(std::string& bytes) {
  using wire::DecisionPage;
  const auto size = fs::file_size(directory + "/state/events-1");
  bool found = false;
  for (std::size_t copy = 0; copy < 2; ++copy) {
    const std::size_t head =
        offsetof(DecisionPage, head) + copy * sizeof(wire::HeadCopy) + offsetof(wire::HeadCopy, bytes);
    const std::size_t end = head + offsetof(supervisor::Head, journal_end);
    found |= get<std::uint64_t>(bytes, end) == size;
    set(bytes, end, placeholder::journal_end);
  }
  EXPECT_TRUE(found) << "what is behind the committed end of the journal?";
}

void Recorder::keep_state() {
  const std::string state = directory + "/state/";
  std::string table = file(state + wire::slot_table_file), page = file(state + wire::decision_page_file);
  ASSERT_EQ(sizeof(wire::SlotTable), table.size());
  ASSERT_EQ(sizeof(wire::DecisionPage), page.size());
  name_processes_of_table(table);
  name_processes_of_page(page);
  name_journal_of_page(page);
  keep_page("instance/state/slot-table", table);
  keep_page("instance/state/decision-page", page);
  for (const fs::directory_entry& entry : fs::directory_iterator(state)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(wire::document_file_prefix) || name.starts_with(wire::event_file_prefix))
      keep("instance/state/" + name, without_places(file(entry.path().string())));
  }
}

void Recorder::keep_log_page() {
  std::string page(sizeof(wire::LogPage), '\0');
  ASSERT_EQ(static_cast<ssize_t>(page.size()), ::pread(log_page_.get(), page.data(), page.size(), 0));
  for (std::size_t slot = 0; slot < wire::max_slots; ++slot) {
    const std::size_t stream = offsetof(wire::LogPage, stream) + slot * sizeof(wire::LogStream);
    const std::size_t uid = stream + offsetof(wire::LogStream, uid), gid = stream + offsetof(wire::LogStream, gid);
    if (page[stream] != 0 && get<std::uint32_t>(page, uid) != UINT32_MAX) set(page, uid, placeholder::uid);
    if (page[stream] != 0 && get<std::uint32_t>(page, gid) != UINT32_MAX) set(page, gid, placeholder::gid);
    const std::size_t pid =
        offsetof(wire::LogPage, policy) + slot * sizeof(wire::LogPolicy) + offsetof(wire::LogPolicy, pid);
    set(page, pid, name_of_pid(get<std::uint32_t>(page, pid)));
  }
  keep_page("log-page", page);
}

void Recorder::keep_pieces() {
  std::string text;
  for (const std::string& name : files_below(place_ + "/instance/spec")) text = file(place_ + "/instance/spec/" + name);
  // On a machine that does not exist.
  const Filling filling{{{placeholder::bin, "/usr/bin"}, {placeholder::base, "/srv/shop"}}, {}, {}};
  const Result<Document> document = config::document_from_json(fill_text(text, filling));
  ASSERT_TRUE(document) << document.error().text();
  keep("spawn-plan", plan_of(*document));
  keep("messages", pack(all_messages()));
  SampledKeeper sampled;
  occupy(sampled);
  keep("hand-over", hand_over_of(*sampled.keeper));
}

void Recorder::record(const std::string& place) {
  place_ = place;
  play();
  if (HasFailure()) return;
  keep_directory();
  keep_state();
  keep_log_page();
  keep_pieces();
  const Output sums = execute({"/bin/sh", "-c",
                               "cd '" + place + "' && find . -type f | LC_ALL=C sort | xargs sha256sum > " + base +
                                   "/sums && mv " + base + "/sums SHA256SUMS"})
                          .wait();
  EXPECT_EQ(0, sums.code) << sums.all();
}

}  // namespace hearth::test
