#include "os/instance.h"

#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <vector>

#include "os/accounts.h"

namespace hearth::os {
namespace {

bool plain_name(const std::string& name) {
  if (name.empty() || name.size() > 32 || name[0] == '.' || name[0] == '-') return false;
  for (char c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') return false;
  return true;
}

Status check_directory(int fd, const std::string& path, uid_t uid) {
  struct stat st{};
  if (::fstat(fd, &st) < 0) return errno_failure("examine", path, errno);
  if (st.st_uid != uid)
    return failure(Remedy::no_access, "use", path,
                   "it belongs to user " + std::to_string(st.st_uid) + ", not to " + std::to_string(uid),
                   "be that user, or choose another directory with --dir");
  if ((st.st_mode & 022) != 0)
    return failure(Remedy::no_access, "use", path, "others may write to it", "chmod go-w " + path);
  return {};
}

// The part of the path that is ours to check: everything from the component named in `first` on. What is
// above (home, /run, /var/log) belongs to the machine and may hold links.
struct Place {
  std::string above;
  std::vector<std::string> ours;
};

Place split(const std::string& path, std::size_t above) {
  Place place{path.substr(0, above), {}};
  std::size_t at = above;
  while (at < path.size()) {
    std::size_t begin = path.find_first_not_of('/', at);
    if (begin == std::string::npos) break;
    std::size_t end = path.find('/', begin);
    if (end == std::string::npos) end = path.size();
    place.ours.push_back(path.substr(begin, end - begin));
    at = end;
  }
  if (place.above.empty()) place.above = "/";
  return place;
}

Place place_of(const std::string& path, const HostFacts& host) {
  for (const std::string& root :
       {host.run_root + "/hearth", host.log_root + "/hearth", host.home + "/.local/state/hearth",
        host.temp_root + "/hearth-" + std::to_string(host.uid)}) {
    if (path.compare(0, root.size() + 1, root + "/") == 0) return split(path, root.rfind('/'));
  }
  return split(path, path.rfind('/'));
}

// One spelling for one directory, whatever links lie above it: state, runs and services are found by it. What is ours to
// check keeps its links, which are refused; and who has made a link to have a shorter path has that.
std::string spelled_once(const std::string& path, const HostFacts& host) {
  const Place place = place_of(path, host);
  if (place.ours.size() != 1) return path;
  std::error_code error;
  const std::filesystem::path above = std::filesystem::weakly_canonical(place.above, error);
  if (error) return path;
  const std::string spelled = above / place.ours.front();
  return spelled.size() <= instance_path_max ? spelled : path;
}

// mkdir -p; existing components are left as they are.
Status make_above(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error && !std::filesystem::is_directory(path)) return errno_failure("create", path, error.value());
  return {};
}

// Whoever is refused a place that he did not name is told why it is that one.
std::unexpected<Error> cannot_be_made(Error error, const std::string& path, const HostFacts& host) {
  if (!error.hint.empty()) return std::unexpected(std::move(error));
  const bool at_home = !host.home.empty() && path.starts_with(host.home + "/");
  error.hint = at_home ? "choose another directory with --dir DIR; the home directory is that of the user database, "
                         "whatever HOME says"
                       : "choose another directory with --dir DIR";
  return std::unexpected(std::move(error));
}

Result<Fd> make_path(const std::string& path, const HostFacts& host) {
  Place place = place_of(path, host);
  if (Status above = make_above(place.above); !above) return cannot_be_made(above.error(), path, host);
  Fd at(::open(place.above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at) return errno_failure("open", place.above, errno);
  std::string so_far = place.above == "/" ? "" : place.above;
  for (const std::string& name : place.ours) {
    so_far += "/" + name;
    Result<Fd> next = enter_directory(at.get(), name, so_far, 0711, host.uid);
    if (!next) return cannot_be_made(next.error(), path, host);
    at = std::move(*next);
  }
  return at;
}

}  // namespace

HostFacts host_facts() {
  HostFacts facts;
  facts.uid = ::geteuid();
  if (const std::optional<Account> account = find_user(facts.uid)) {
    facts.home = account->home;
    struct stat st{};
    // "/nonexistent" and "/" are how packages say that there is none.
    if (facts.home == "/" || ::stat(facts.home.c_str(), &st) < 0 || !S_ISDIR(st.st_mode)) facts.home.clear();
  }
  if (Result<std::string> id = read_file("/etc/machine-id", 256); id && id->size() >= 12) {
    facts.host_id = id->substr(0, 12);
  } else {
    char name[65] = {};
    ::gethostname(name, sizeof name - 1);
    facts.host_id = name;
  }
  if (!plain_name(facts.host_id)) facts.host_id = "host";
  return facts;
}

Result<Fd> enter_directory(int parent, const std::string& name, const std::string& path, mode_t mode, uid_t uid) {
  bool made = ::mkdirat(parent, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return errno_failure("create", path, errno);
  Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && (errno == ELOOP || errno == ENOTDIR))
    return failure(Remedy::fix_input, "use", path, "it is a symbolic link or no directory",
                   "remove it, or choose another directory with --dir");
  if (!fd) return errno_failure("open", path, errno);
  if (Status ours = check_directory(fd.get(), path, uid); !ours) return failure(ours.error());
  // Explicitly, because of our umask; and again, because an earlier hearth may have died in between.
  if (::fchmod(fd.get(), mode) < 0) return errno_failure("set the mode of", path, errno);
  return fd;
}

Result<Instance> find_instance(const std::string& name, const std::string& directory, const HostFacts& host) {
  if (!plain_name(name))
    return failure(Remedy::fix_input, "use the instance name", name, "it is no plain word of at most 32 characters",
                   "use letters, digits, '-', '_' and '.'");
  Instance instance{.name = name, .directory = {}, .log_directory = {}};
  if (!directory.empty()) {
    std::error_code error;
    std::string path = std::filesystem::absolute(directory, error).lexically_normal().string();
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    instance.directory = spelled_once(path, host);
  } else if (host.uid == 0) {
    instance.directory = host.run_root + "/hearth/" + name;
    instance.log_directory = host.log_root + "/hearth/" + name;
  } else if (!host.home.empty()) {
    instance.directory = host.home + "/.local/state/hearth/" + host.host_id + "/" + name;
  } else {
    instance.directory = host.temp_root + "/hearth-" + std::to_string(host.uid) + "/" + name;
  }
  if (instance.log_directory.empty()) instance.log_directory = instance.directory + "/logs";
  if (instance.directory.size() > instance_path_max)
    return failure(Remedy::fix_input, "use", instance.directory,
                   "its path has " + std::to_string(instance.directory.size()) +
                       " bytes; sockets in it may not have paths beyond 107, so it may have " +
                       std::to_string(instance_path_max),
                   "choose a shorter one with --dir");
  return instance;
}

Result<Fd> make_instance(const Instance& instance, const HostFacts& host) {
  Result<Fd> directory = make_path(instance.directory, host);
  if (!directory) return directory;
  struct Part {
    const char* name;
    mode_t mode;
  };
  for (Part part : {Part{"n", 0711}, Part{"o", 0711}, Part{"spec", 0700}}) {
    Result<Fd> made =
        enter_directory(directory->get(), part.name, instance.directory + "/" + part.name, part.mode, host.uid);
    if (!made) return made;
  }
  Result<Fd> logs = make_path(instance.log_directory, host);
  if (!logs) return logs;
  Fd path(::open(instance.directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!path) return errno_failure("open", instance.directory, errno);
  struct stat checked{};
  struct stat opened{};
  if (::fstat(directory->get(), &checked) < 0 || ::fstat(path.get(), &opened) < 0 || checked.st_ino != opened.st_ino ||
      checked.st_dev != opened.st_dev)
    return failure(Remedy::conflict, "use", instance.directory, "it was replaced while it was being opened",
                   "try again");
  return path;
}

std::string notify_name(std::uint64_t run) {
  return "n/" + std::to_string(run);
}
std::string fifo_name(std::uint64_t run) {
  return "o/" + std::to_string(run);
}

}  // namespace hearth::os
