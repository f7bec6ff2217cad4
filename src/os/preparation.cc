#include "os/preparation.h"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <pthread.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <tuple>
#include <unistd.h>

#include "os/at_work.h"
#include "os/crash_point.h"
#include "os/fd.h"
#include "os/instance.h"
#include "os/sandbox.h"
#include "os/thread.h"

namespace hearth::os {
namespace {

constexpr std::size_t credential_max = 1u << 20;
constexpr long tmpfs_magic = 0x01021994;

uid_t user_of(const Owner& owner) {
  return owner.uid.value_or(::geteuid());
}

void tell(const Preparation& preparation, const char* what, const std::string& path) {
  if (preparation.step != nullptr) preparation.step->at(what + path);
}

Error failed(const Preparation& preparation, const std::string& what, const std::string& path, int code) {
  Error error = errno_error("start", preparation.label, code);
  error.reason = what + " " + path + ": " + std::strerror(code);
  return error;
}

// Where hearth keeps what it copies: nothing of that is the service's fault, and the start is made later.
Error failed_of_ours(const Preparation& preparation, const std::string& what, const std::string& path, int code) {
  Error error = failed(preparation, what, path, code);
  error.remedy = Remedy::try_later;
  return error;
}

// Gives to the service's user what it does not have yet.
bool give(int fd, const Owner& owner) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return false;
  const uid_t uid = user_of(owner);
  const gid_t gid = owner.gid.value_or(st.st_gid);
  return (st.st_uid == uid && st.st_gid == gid) || ::fchown(fd, uid, gid) == 0;
}

// The directory `name` below `parent`, made where it is missing.
Fd enter(int parent, const std::string& name, mode_t mode) {
  const bool made = ::mkdirat(parent, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return {};
  Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd && made) (void)::fchmod(fd.get(), mode);  // whatever the umask is
  return fd;
}

Result<Fd> make_directory(const Preparation& preparation, const std::string& root, const std::string& name) {
  const std::string path = root + "/" + name;
  tell(preparation, "its directory ", path);
  const int unmade = ::mkdir(root.c_str(), 0755) < 0 && errno != EEXIST ? errno : 0;
  Fd at(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at && errno == ENOENT && unmade != 0) return failure(failed(preparation, "cannot make", root, unmade));
  std::string_view rest = name;
  while (at && !rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    at = enter(at.get(), std::string(rest.substr(0, slash)), 0755);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  if (!at || !give(at.get(), preparation.owner)) return failure(failed(preparation, "cannot make", path, errno));
  return at;
}

Result<std::string> make_directories(const Preparation& preparation, const std::string& root,
                                     const std::vector<std::string>& names) {
  std::string paths;
  for (const std::string& name : names) {
    const Result<Fd> made = make_directory(preparation, root, name);
    if (!made) return failure(made.error());
    paths += (paths.empty() ? "" : ":") + root + "/" + name;
  }
  return paths;
}

Result<std::string> read_credential(const Preparation& preparation, const std::string& name, const std::string& path) {
  const std::string what = "cannot read the credential " + name + " from";
  tell(preparation, "its credential ", path);
  // Not to wait for a FIFO.
  const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!file || ::fstat(file.get(), &st) < 0) return failure(failed(preparation, what, path, errno));
  const int unusable = S_ISDIR(st.st_mode)                               ? EISDIR
                       : !S_ISREG(st.st_mode)                            ? EINVAL
                       : st.st_size > static_cast<off_t>(credential_max) ? EFBIG
                                                                         : 0;
  if (unusable != 0) {
    Error error = failed(preparation, what, path, unusable);
    error.remedy = Remedy::fix_input;
    return failure(std::move(error));
  }
  return read_all(file.get(), credential_max, path);
}

Result<std::string> copy_credentials(const Preparation& preparation) {
  const std::string path = preparation.roots.credentials + "/" + std::to_string(preparation.run);
  (void)::mkdir(preparation.roots.credentials.c_str(), 0711);
  const Fd root(::open(preparation.roots.credentials.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // A predecessor may have begun.
  remove_credentials(preparation.roots, preparation.run);
  const Fd directory = root ? enter(root.get(), std::to_string(preparation.run), 0700) : Fd();
  if (!directory) return failure(failed_of_ours(preparation, "cannot make", path, errno));
  for (const auto& [name, source] : preparation.around.credentials) {
    const Result<std::string> text = read_credential(preparation, name, source);
    if (!text) return failure(text.error());
    const Fd file(::openat(directory.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
    if (!file) return failure(failed_of_ours(preparation, "cannot make", path + "/" + name, errno));
    if (const Status written = write_all(file.get(), *text, path + "/" + name); !written)
      return failure(written.error());
    if (!give(file.get(), preparation.owner)) return failure(failed(preparation, "cannot give away", path, errno));
    crash_point("credential copied");
  }
  // Last: before, its user could put something in our way.
  if (!give(directory.get(), preparation.owner)) return failure(failed(preparation, "cannot give away", path, errno));
  return path;
}

Status look_for_libraries(const Preparation& preparation) {
  struct stat st{};
  for (const std::string& path : preparation.around.library_path) {
    tell(preparation, "its library_path ", path);
    if (::stat(path.c_str(), &st) < 0) return failure(failed(preparation, "library_path has", path, errno));
    if (!S_ISDIR(st.st_mode)) return failure(failed(preparation, "library_path has", path, ENOTDIR));
  }
  for (const std::string& path : preparation.around.preload) {
    tell(preparation, "its preload ", path);
    if (::stat(path.c_str(), &st) < 0) return failure(failed(preparation, "preload has", path, errno));
    if (!S_ISREG(st.st_mode)) return failure(failed(preparation, "preload has", path, EISDIR));
  }
  return {};
}

OwnPaths own_paths(const Preparation& preparation) {
  OwnPaths own = own_paths_of(preparation.around, preparation.roots);
  const RunId whose = preparation.for_other_than_service ? preparation.of_run : preparation.run;
  if (!preparation.around.credentials.empty() && whose != no_run)
    own.read.push_back(preparation.roots.credentials + "/" + std::to_string(whose));
  return own;
}

Status add_ruleset(const Preparation& preparation, Prepared& prepared) {
  const Sandbox& box = preparation.sandbox;
  std::string paths;
  for (const std::vector<std::string>* const some : {&box.read_paths, &box.write_paths, &box.exec_paths})
    for (const std::string& path : *some) paths += (paths.empty() ? "" : ", ") + path;
  tell(preparation, "a path of its sandbox, one of ", paths);
  Result<Fd> made = make_ruleset(preparation.sandbox, own_paths(preparation), sandbox_support(), preparation.label);
  if (!made) return failure(made.error());
  if (*made) prepared.ruleset = std::make_shared<const Fd>(std::move(*made));
  return {};
}

}  // namespace

ServiceRoots service_roots(const std::string& instance_directory) {
  ServiceRoots roots{"/run", "/var/lib", "/var/cache", instance_directory + "/c"};
  if (::geteuid() != 0) {
    const std::string home = host_facts().home;
    roots.runtime = instance_directory + "/run";
    roots.state = home.empty() ? instance_directory + "/var/lib" : home + "/.local/state";
    roots.cache = home.empty() ? instance_directory + "/var/cache" : home + "/.cache";
  }
  // Where the instance is on a disk, its state is not.
  struct statfs fs{};
  const std::string state = instance_directory + "/state";
  if (::statfs(instance_directory.c_str(), &fs) == 0 && fs.f_type != tmpfs_magic &&
      ::statfs((state + "/.").c_str(), &fs) == 0 && fs.f_type == tmpfs_magic)
    roots.credentials = state + "/c";
  return roots;
}

OwnPaths own_paths_of(const Surroundings& around, const ServiceRoots& roots) {
  OwnPaths own;
  const auto add = [&](const std::string& root, const std::vector<std::string>& names) {
    for (const std::string& name : names) own.written.push_back(root + "/" + name);
  };
  add(roots.runtime, around.runtime_directories);
  add(roots.state, around.state_directories);
  add(roots.cache, around.cache_directories);
  return own;
}

bool needs_preparation(const Surroundings& around) {
  return !around.credentials.empty() || !around.runtime_directories.empty() || !around.state_directories.empty() ||
         !around.cache_directories.empty() || !around.library_path.empty() || !around.preload.empty();
}

namespace {

Result<Prepared> prepare_service(const Preparation& preparation) {
  if (const Status libraries = look_for_libraries(preparation); !libraries) return failure(libraries.error());
  Prepared prepared;
  const Surroundings& around = preparation.around;
  const ServiceRoots& roots = preparation.roots;
  const std::tuple<const char*, const std::string&, const std::vector<std::string>&> kinds[] = {
      {"RUNTIME_DIRECTORY", roots.runtime, around.runtime_directories},
      {"STATE_DIRECTORY", roots.state, around.state_directories},
      {"CACHE_DIRECTORY", roots.cache, around.cache_directories},
  };
  for (const auto& [variable, root, names] : kinds) {
    if (names.empty()) continue;
    Result<std::string> made = make_directories(preparation, root, names);
    if (!made) return failure(made.error());
    prepared.variables.emplace_back(variable, std::move(*made));
  }
  if (!around.credentials.empty()) {
    Result<std::string> copied = copy_credentials(preparation);
    if (!copied) {
      remove_credentials(roots, preparation.run);
      return failure(copied.error());
    }
    prepared.variables.emplace_back("CREDENTIALS_DIRECTORY", std::move(*copied));
  }
  return prepared;
}

}  // namespace

Result<Prepared> prepare(const Preparation& preparation) {
  Result<Prepared> prepared = preparation.for_other_than_service ? Prepared() : prepare_service(preparation);
  if (!prepared) return prepared;
  if (const Status rules = add_ruleset(preparation, *prepared); !rules) {
    if (!preparation.for_other_than_service) remove_credentials(preparation.roots, preparation.run);
    return failure(rules.error());
  }
  return prepared;
}

// On tmpfs, and a handful of files: nothing here waits.
void remove_credentials(const ServiceRoots& roots, RunId run) {
  const std::string path = roots.credentials + "/" + std::to_string(run);
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* const directory = fd < 0 ? nullptr : ::fdopendir(fd);
  if (directory == nullptr) return;
  while (const dirent* const entry = ::readdir(directory)) ::unlinkat(fd, entry->d_name, 0);
  ::closedir(directory);
  ::rmdir(path.c_str());
}

void remove_stale_credentials(const ServiceRoots& roots, const std::function<bool(RunId)>& known) {
  DIR* const directory = ::opendir(roots.credentials.c_str());
  if (directory == nullptr) return;
  std::vector<RunId> stale;
  while (const dirent* const entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    RunId run = no_run;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), run);
    if (problem == std::errc() && end == name.data() + name.size() && !known(run)) stale.push_back(run);
  }
  ::closedir(directory);
  for (const RunId run : stale) remove_credentials(roots, run);
}

namespace {

// The directory that `name` stands in, entered one by one: the service's user owns what is above, and may have put a link
// to somebody else's there. What is removed below is removed by this descriptor, too.
std::shared_ptr<const Fd> parent_below(const std::string& root, std::string_view name) {
  Fd at(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::size_t slash = name.find('/'); at && slash != name.npos; slash = name.find('/')) {
    const std::string part(name.substr(0, slash));
    name.remove_prefix(slash + 1);
    at = Fd(::openat(at.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at ? std::make_shared<const Fd>(std::move(at)) : nullptr;
}

}  // namespace

// The name is free at once, also for the next run; what is below it may be much.
void remove_runtime_directories(const ServiceRoots& roots, const std::vector<std::string>& names, RunId run) {
  for (const std::string& name : names) {
    const std::shared_ptr<const Fd> parent = parent_below(roots.runtime, name);
    const std::string last = name.substr(name.rfind('/') + 1);
    const std::string gone = "." + last + "." + std::to_string(run);
    if (parent == nullptr || ::renameat(parent->get(), last.c_str(), parent->get(), gone.c_str()) < 0) continue;
    // Shared with the thread, which may outlast us.
    const auto remove = [parent, gone] {
      const AtWork at_work;
      std::error_code ignored;
      std::filesystem::remove_all("/proc/self/fd/" + std::to_string(parent->get()) + "/" + gone, ignored);
    };
    pthread_t thread{};
    if (start_thread(thread, remove) == 0)
      ::pthread_detach(thread);
    else
      remove();  // short of threads: it is on tmpfs, so this takes time, but ends
  }
}

struct Preparations::Job {
  explicit Job(Preparation order) : preparation(std::move(order)) { preparation.step = std::make_shared<Step>(); }
  void run();

  Preparation preparation;  // not changed any more
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<Prepared>> result;
  bool unwanted = false;  // its run came to nothing, and nobody else will remove what was copied for it
};

void Preparations::Job::run() {
  ::prctl(PR_SET_NAME, "hearth-prepare");
  const AtWork at_work;
  Result<Prepared> prepared = prepare(preparation);
  const std::lock_guard lock(mutex);
  if (unwanted) remove_credentials(preparation.roots, preparation.run);
  result = std::move(prepared);
  changed.notify_all();
}

void Preparations::forget(RunId run) {
  const auto known = jobs_.find(run);
  if (known == jobs_.end()) return;
  {
    const std::lock_guard lock(known->second->mutex);
    known->second->unwanted = !known->second->result.has_value();
  }
  jobs_.erase(known);
}

std::shared_ptr<Preparations::Job> Preparations::at_work_for(const std::string& label) const {
  const auto last = last_.find(label);
  std::shared_ptr<Job> job = last == last_.end() ? nullptr : last->second.lock();
  if (job == nullptr) return nullptr;
  const std::lock_guard lock(job->mutex);
  return job->result ? nullptr : job;
}

// One at a time of a service: many starts of one whose disk hangs must not use up what the others need.
bool Preparations::may_begin(const std::string& label, MonoNs now) {
  if (const std::shared_ptr<Job> before = at_work_for(label)) {
    waits_for_ = before->preparation.step->what();
    return false;
  }
  switch (left_behind_.room_for(label, now)) {
    case Room::yes: return true;
    case Room::own_hangs:  // it is about to end
    case Room::soon: waits_for_ = "other starts, of which many prepare at once"; break;
    case Room::none:
      waits_for_ = "one of " + std::to_string(LeftBehind::left_behind_max) +
                   " other services whose paths do not answer: no more threads are left behind";
      break;
  }
  return false;
}

std::optional<Result<Prepared>> Preparations::of(const Preparation& preparation, MonoNs now) {
  std::shared_ptr<Job>& job = jobs_[preparation.run];
  const bool fresh = job == nullptr;
  if (fresh) {
    if (!may_begin(preparation.label, now)) {
      jobs_.erase(preparation.run);
      return {};
    }
    job = std::make_shared<Job>(preparation);
    pthread_t thread{};
    const auto trace = std::make_shared<char>();
    const int error = start_thread(thread, [job, trace] { job->run(); });
    if (error != 0) {
      jobs_.erase(preparation.run);
      return failure(errno_error("start", preparation.label, error));
    }
    ::pthread_detach(thread);
    std::erase_if(last_, [](const auto& each) { return each.second.expired(); });
    last_[preparation.label] = job;
    left_behind_.add(preparation.label, trace, now);
  }
  std::unique_lock lock(job->mutex);
  if (fresh) job->changed.wait_for(lock, std::chrono::nanoseconds(patience), [&] { return job->result.has_value(); });
  if (!job->result) waits_for_ = job->preparation.step->what();
  return job->result;
}

}  // namespace hearth::os
