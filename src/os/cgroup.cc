#include "os/cgroup.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/split.h"

namespace hearth::os {
namespace {

constexpr const char* subtree_control = "cgroup.subtree_control";

// mountinfo writes space, tab, newline and backslash as \OOO.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%08llx", static_cast<unsigned long long>(value & 0xffffffffu));
  return text;
}

Status write_at(int directory, const std::string& name, std::string_view text) {
  Fd fd(::openat(directory, name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_failure("open", name, errno);
  return write_all(fd.get(), text, name);
}

// A leaf that is removed while it is looked at has nobody left.
bool is_gone(int code) {
  return code == ENOENT || code == ENODEV;
}

// False: it may have some that cannot be seen now, for want of a descriptor or of memory.
bool add_processes(int leaf, std::vector<int>& pids) {
  Fd fd(::openat(leaf, "cgroup.procs", O_RDONLY | O_CLOEXEC));
  if (!fd) return is_gone(errno);
  Result<std::string> text = read_all(fd.get(), 8u << 20, "cgroup.procs");
  if (!text) return is_gone(text.error().code);
  std::string_view rest = *text;
  while (const auto word = take_word(rest)) {
    int pid = 0;
    if (std::from_chars(word->data(), word->data() + word->size(), pid).ec == std::errc()) pids.push_back(pid);
  }
  return true;
}

// False: it cannot be read now.
template <typename Visit>
bool each_directory(int directory, Visit visit) {
  int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = copy < 0 ? nullptr : ::fdopendir(copy);
  if (dir == nullptr) {
    const bool gone = is_gone(errno);
    if (copy >= 0) ::close(copy);
    return gone;
  }
  while (dirent* entry = ::readdir(dir))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') visit(std::string(entry->d_name));
  ::closedir(dir);
  return true;
}

// A service may have made cgroups of its own below its leaf. Depth is bounded by the kernel's own limit on
// nesting; ours is a guard against surprises. False: as of add_processes().
bool walk(int directory, int depth, std::vector<int>& pids) {
  bool all = add_processes(directory, pids);
  if (depth == 0) return all;
  return each_directory(directory,
                        [&](const std::string& name) {
                          Fd below(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                          all = (below ? walk(below.get(), depth - 1, pids) : is_gone(errno)) && all;
                        }) &&
         all;
}

bool remove_below(int directory, const std::string& name, int depth) {
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno != EBUSY || depth == 0) return false;
  Fd below(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!below) return false;
  bool emptied = true;
  bool any = false;
  each_directory(below.get(), [&](const std::string& child) {
    any = true;
    emptied = remove_below(below.get(), child, depth - 1) && emptied;
  });
  return any && emptied && ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0;
}

// A manager marks what it delegates so: systemd.exec(5) and https://systemd.io/CGROUP_DELEGATION have the attributes.
bool is_delegated(const std::string& directory) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value[2];
    if (::getxattr(directory.c_str(), name, value, sizeof value) == 1 && value[0] == '1') return true;
  }
  return false;
}

struct Limit {
  const char* key;
  const char* controller;
  const char* file;
  std::string value;
};

std::vector<Limit> limits_of(const CgroupLimits& wanted) {
  constexpr std::uint64_t period_us = 100'000;
  std::vector<Limit> all;
  const auto add = [&](const char* key, const char* controller, const char* file, std::uint64_t value) {
    if (value != 0) all.push_back({key, controller, file, std::to_string(value)});
  };
  add("memory_high", "memory", "memory.high", wanted.memory_high);
  add("memory_max", "memory", "memory.max", wanted.memory_max);
  add("pids_max", "pids", "pids.max", wanted.pids_max);
  add("cpu_max", "cpu", "cpu.max", wanted.cpu_max * period_us / 100);
  if (wanted.cpu_max != 0) all.back().value += " " + std::to_string(period_us);
  add("cpu_weight", "cpu", "cpu.weight", wanted.cpu_weight);
  add("io_weight", "io", "io.weight", wanted.io_weight);
  return all;
}

}  // namespace

std::string CgroupPlace::directory() const {
  if (mount.empty() || own.empty()) return "";
  std::string below = own;
  if (root != "/") {
    // A cgroup namespace or a bind mount shows a part only.
    if (below.compare(0, root.size(), root) != 0) return "";
    below.erase(0, root.size());
  }
  if (below == "/") below.clear();
  if (below.find("/..") != std::string::npos) return "";
  return mount + below;
}

CgroupPlace parse_cgroup_place(const std::string& mountinfo, const std::string& cgroup) {
  CgroupPlace place;
  std::string_view mounts = mountinfo, groups = cgroup;
  while (const auto line = take_line(mounts)) {
    const std::size_t dash = line->find(" - ");
    if (dash == line->npos || !line->substr(dash + 3).starts_with("cgroup2 ")) continue;
    std::string_view fields = *line;
    for (int before = 0; before < 3; ++before) take_word(fields);  // id, parent, device
    const auto root = take_word(fields), mount = take_word(fields);
    if (!mount) continue;
    place.root = unescape(*root);
    place.mount = unescape(*mount);
    // The last one of several is mounted over the others.
  }
  while (const auto line = take_line(groups))
    if (line->starts_with("0::")) place.own = line->substr(3);
  return place;
}

std::string above_subgroup(const std::string& own, const IsDelegated& marked) {
  const std::size_t slash = own.rfind('/');
  if (slash == own.npos || slash == 0) return own;
  const std::string above = own.substr(0, slash);
  return marked(above) ? above : own;
}

bool ask_for_controller(const std::function<bool(const std::string& file)>& write) {
  const std::string own = subtree_control;
  // The cgroup above refuses while somebody is in it.
  return write(own) || (write("../" + own) && write(own));
}

std::string leaf_name(const std::string& label, RunId run) {
  return label + "." + std::to_string(run);
}

std::string tree_name(const std::string& instance_directory) {
  return "hearth." + hex(hash_bytes(instance_directory));
}

std::string above_tree(const std::string& path, const std::string& tree_name, const std::string& leaf_name) {
  const std::string leaf = "/" + tree_name + "/" + leaf_name;
  for (std::size_t at = path.find(leaf); at != path.npos; at = path.find(leaf, at + 1)) {
    const std::size_t end = at + leaf.size();
    if (end == path.size() || path[end] == '/') return at == 0 ? "/" : path.substr(0, at);
  }
  return "";
}

void CgroupTree::remove() const {
  if (usable()) ::rmdir(path_.c_str());
}

CgroupTree CgroupTree::open(const std::string& instance_directory, Missing missing) {
  Result<std::string> mounts = read_file("/proc/self/mountinfo", 16u << 20);
  Result<std::string> groups = read_file("/proc/self/cgroup", 1u << 20);
  CgroupTree none;
  if (!mounts || !groups) {
    none.why_ = "/proc cannot be read";
    none.scarce_ = is_shortage((mounts ? groups : mounts).error().code);
    return none;
  }
  const std::string parent = above_subgroup(parse_cgroup_place(*mounts, *groups).directory(), is_delegated);
  if (parent.empty()) {
    none.why_ = "no cgroup v2 hierarchy is mounted here";
    return none;
  }
  return open_below(parent, instance_directory, missing);
}

CgroupTree CgroupTree::open_at(const std::string& cgroup, const std::string& instance_directory) {
  const Result<std::string> mounts = read_file("/proc/self/mountinfo", 16u << 20);
  CgroupTree none;
  if (!mounts) {
    none.why_ = "/proc cannot be read";
    none.scarce_ = is_shortage(mounts.error().code);
    return none;
  }
  const std::string parent = parse_cgroup_place(*mounts, "0::" + cgroup + "\n").directory();
  if (!parent.empty()) return open_below(parent, instance_directory, Missing::leave);
  none.why_ = "the cgroup " + cgroup + " cannot be seen from here";
  return none;
}

CgroupTree CgroupTree::open_below(const std::string& parent, const std::string& instance_directory, Missing missing) {
  CgroupTree tree;
  tree.path_ = parent + "/" + tree_name(instance_directory);
  const auto unusable = [&](const char* operation) {
    tree.scarce_ = is_shortage(errno);
    tree.why_ = errno_error(operation, tree.path_, errno).text();
    return std::move(tree);
  };
  const auto open_tree = [&] {
    return Fd(::open(tree.path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  };
  Fd fd = open_tree();
  // One that is there, with what an earlier hearth has left in it, needs no mkdir(2) that may fail.
  if (!fd && errno == ENOENT && missing == Missing::create) {
    if (::mkdir(tree.path_.c_str(), 0755) < 0 && errno != EEXIST) return unusable("create");
    fd = open_tree();
  }
  // To move a process into a leaf we must be able to write cgroup.procs of the common ancestor too; clone3 checks
  // the same rule.
  if (!fd || ::faccessat(fd.get(), "cgroup.procs", W_OK, AT_EACCESS) < 0 ||
      ::access((parent + "/cgroup.procs").c_str(), W_OK) < 0)
    return unusable("use");
  tree.tree_ = std::move(fd);
  tree.read_given();
  return tree;
}

Result<Fd> CgroupTree::make_leaf(const std::string& label, RunId run) const {
  const std::string name = leaf_name(label, run);
  if (::mkdirat(tree_.get(), name.c_str(), 0755) < 0 && errno != EEXIST)
    return errno_failure("create the cgroup", path_ + "/" + name, errno);
  Fd fd(::openat(tree_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd) return fd;
  const int code = errno;
  ::unlinkat(tree_.get(), name.c_str(), AT_REMOVEDIR);
  return errno_failure("open the cgroup", path_ + "/" + name, code);
}

void CgroupTree::read_given() {
  given_.clear();
  const Fd fd(usable() ? ::openat(tree_.get(), subtree_control, O_RDONLY | O_CLOEXEC) : -1);
  const Result<std::string> text = fd ? read_all(fd.get(), 4096, subtree_control) : Result<std::string>(std::string());
  if (!text) return;
  std::string_view rest = *text;
  while (const auto word = take_word(rest)) given_.emplace(*word);
}

void CgroupTree::want(const CgroupLimits& limits, MonoNs now) {
  if (!usable()) return;
  for (const Limit& limit : limits_of(limits)) {
    if (given_.contains(limit.controller)) continue;
    const auto asked = asked_.find(limit.controller);
    if (asked != asked_.end() && now - asked->second < asks_again_after) continue;
    asked_[limit.controller] = now;
    read_given();  // somebody else may have seen to it
    if (given_.contains(limit.controller)) continue;
    const std::string request = std::string("+") + limit.controller;
    (void)ask_for_controller([&](const std::string& file) { return write_at(tree_.get(), file, request).has_value(); });
    read_given();
  }
}

void CgroupTree::limit(const Fd& leaf, const CgroupLimits& limits, MonoNs now) {
  want(limits, now);
  for (const Limit& limit : limits_of(limits)) {
    refused_.erase(limit.key);
    if (!given_.contains(limit.controller)) continue;
    if (const Status set = write_at(leaf.get(), limit.file, limit.value); !set)
      refused_[limit.key] = std::string(limit.file) + ": " + std::strerror(set.error().code);
  }
}

std::vector<std::string> CgroupTree::not_handed_on() const {
  std::vector<std::string> controllers;
  const Fd fd(usable() ? ::openat(tree_.get(), "cgroup.controllers", O_RDONLY | O_CLOEXEC) : -1);
  const Result<std::string> text = fd ? read_all(fd.get(), 4096, "cgroup.controllers") : Result<std::string>("");
  for (const char* controller : {"cpu", "io", "memory", "pids"})
    if (!text || !has_word(*text, controller)) controllers.emplace_back(controller);
  return controllers;
}

std::string CgroupTree::missing(const CgroupLimits& limits) const {
  std::map<std::string, std::string> keys;  // by reason
  const auto add = [&](const std::string& reason, const std::string& key) {
    std::string& list = keys[reason];
    list += (list.empty() ? "" : ", ") + key;
  };
  for (const Limit& limit : limits_of(limits)) {
    if (!usable())
      add("it has no cgroup (" + why_ + ")", limit.key);
    else if (!given_.contains(limit.controller))
      add(std::string("the controller \"") + limit.controller +
              "\" is not delegated to hearth (`hearth doctor` says why)",
          limit.key);
    else if (const auto refused = refused_.find(limit.key); refused != refused_.end())
      add("the kernel refuses it (" + refused->second + ")", limit.key);
  }
  std::string text;
  for (const auto& [reason, list] : keys)
    text += (text.empty() ? "" : "; ") + list + (list.find(',') == list.npos ? " is" : " are") + " not held: " + reason;
  return text;
}

CgroupTree::Removed CgroupTree::remove_leaf(const std::string& label, RunId run) const {
  if (!usable()) return Removed::absent;
  const std::string name = leaf_name(label, run);
  if (::unlinkat(tree_.get(), name.c_str(), AT_REMOVEDIR) == 0) return Removed::gone;
  if (errno == ENOENT) return Removed::absent;
  if (errno != EBUSY) return Removed::failed;
  // Either processes are left or the service made cgroups of its own, which may be empty.
  return remove_below(tree_.get(), name, 8) ? Removed::gone : Removed::busy;
}

bool CgroupTree::has_leaf(const std::string& label, RunId run) const {
  struct stat st{};
  return usable() &&
         (::fstatat(tree_.get(), leaf_name(label, run).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT);
}

bool CgroupTree::kill_leaf(const std::string& label, RunId run) const {
  return usable() && write_at(tree_.get(), leaf_name(label, run) + "/cgroup.kill", "1").has_value();
}

std::vector<int> CgroupTree::processes(const std::string& label, RunId run, bool* all) const {
  std::vector<int> pids;
  if (!usable()) return pids;
  Fd leaf(::openat(tree_.get(), leaf_name(label, run).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const bool seen = leaf ? walk(leaf.get(), 8, pids) : is_gone(errno);
  if (all != nullptr) *all = seen;
  return pids;
}

std::vector<std::string> CgroupTree::leaves() const {
  std::vector<std::string> names;
  if (usable()) each_directory(tree_.get(), [&](const std::string& name) { names.push_back(name); });
  return names;
}

}  // namespace hearth::os
