// The checks of `hearth doctor` that are about the machine.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/version.h"
#include "cli/daemon_start.h"
#include "cli/doctor.h"
#include "os/cgroup.h"
#include "os/controllers.h"
#include "os/fd.h"
#include "os/gpu.h"
#include "os/kernel_features.h"
#include "os/proc_stat.h"
#include "os/program_file.h"
#include "os/sandbox.h"

namespace hearth::cli {
namespace {

constexpr std::uint64_t mib = 1u << 20;
constexpr std::uint64_t little_space = 64 * mib;
constexpr rlim_t few_descriptors = 4096;  // of the keeper: about four for each service
constexpr int oldest_major = 5, oldest_minor = 10;

bool is_old(const std::string& release) {
  char* end = nullptr;
  const long major = std::strtol(release.c_str(), &end, 10);
  const long minor = *end == '.' ? std::strtol(end + 1, nullptr, 10) : 0;
  return major < oldest_major || (major == oldest_major && minor < oldest_minor);
}

// The number in a file of /proc/sys; 0 when it cannot be read.
std::uint64_t system_number(const char* path) {
  const Result<std::string> text = os::read_file(path, 64);
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

void check_file_system(const std::string& what, const std::string& path, Findings& findings) {
  struct statvfs fs{};
  if (::statvfs(path.c_str(), &fs) < 0) return;
  const std::uint64_t free = std::uint64_t{fs.f_bavail} * fs.f_frsize;
  if (free < little_space) {
    findings.push_back({free == 0 ? Verdict::problem : Verdict::warning,
                        "space",
                        fmt::format("{} MiB are free for {} ({})", free / mib, what, path),
                        "make room",
                        {}});
  } else if (fs.f_files > 0 && fs.f_favail < 1000) {
    findings.push_back({Verdict::warning,
                        "space",
                        fmt::format("room for {} more files only, for {} ({})", fs.f_favail, what, path),
                        "remove files there",
                        {}});
  } else {
    findings.push_back(
        {Verdict::good, "space", fmt::format("{} MiB are free for {} ({})", free / mib, what, path), {}, {}});
  }
}

// Which limits of `cgroup` can be had, and of the others why not: a finding for each reason.
void check_controllers(const std::vector<std::string>& missing, Findings& findings) {
  if (missing.empty()) {
    findings.push_back({Verdict::good, "cgroups", "all limits of `cgroup` can be set", {}, {}});
    return;
  }
  std::vector<std::string_view> there;
  for (const std::string_view name : {"cpu", "io", "memory", "pids"})
    if (std::ranges::find(missing, name) == missing.end()) there.push_back(name);
  if (!there.empty())
    findings.push_back({Verdict::good,
                        "cgroups",
                        fmt::format("limits of `cgroup` that need {} can be set", fmt::join(there, ", ")),
                        {},
                        {}});
  std::map<std::string, std::pair<os::MissingController, std::string>> by_reason;  // one of them, and the names of all
  for (const os::MissingController& one : os::why_missing_here(missing)) {
    auto& [example, names] = by_reason[one.why];
    example = one;
    names += (names.empty() ? "" : ", ") + one.name + (one.detail.empty() ? "" : " (" + one.detail + ")");
  }
  for (const auto& [why, of_it] : by_reason) {
    const auto& [example, names] = of_it;
    const std::string text =
        example.may_be_given
            ? fmt::format(
                  "limits of `cgroup` that need {} are held only if hearth is given it when a service asks: it is "
                  "not delegated now",
                  names)
            : fmt::format("limits of `cgroup` that need {} are not held: {}", names, why);
    findings.push_back({Verdict::note, "cgroups", text, example.remedy, {}});
  }
}

// What holds a `sandbox`; what is missing for one is told with the features of the kernel.
void check_sandboxes(Findings& findings) {
  const os::SandboxSupport& support = os::sandbox_support();
  std::vector<std::string> there;
  if (support.landlock > 0) there.push_back(fmt::format("paths by Landlock (version {})", support.landlock));
  if (support.seccomp) there.emplace_back("system calls by seccomp");
  if (there.empty()) return;
  findings.push_back({Verdict::good, "kernel", fmt::format("a `sandbox` is held: {}", fmt::join(there, ", ")), {}, {}});
}

}  // namespace

void check_kernel(Findings& findings) {
  const std::string release = os::kernel_release();
  const std::vector<os::KernelFeature> features = os::kernel_features();
  if (is_old(release)) {
    findings.push_back({Verdict::problem,
                        "kernel",
                        fmt::format("Linux {} is older than {}.{}, the oldest that hearth is made for", release,
                                    oldest_major, oldest_minor),
                        "install a newer kernel",
                        {}});
  }
  std::size_t missing = 0;
  for (const os::KernelFeature& feature : features) {
    if (feature.there) continue;
    ++missing;
    findings.push_back(
        {feature.required ? Verdict::problem : Verdict::note,
         "kernel",
         fmt::format("{} is not there: {}", feature.name, feature.without),
         fmt::format("Linux has it from {} on; a container's seccomp profile may refuse it", feature.since),
         {}});
  }
  findings.push_back({Verdict::good,
                      "kernel",
                      fmt::format("Linux {}: {} of {} features that hearth can use", release, features.size() - missing,
                                  features.size()),
                      {},
                      {}});
  check_sandboxes(findings);
}

void check_cgroups(const Context& context, const InstanceState& state, Findings& findings) {
  const bool ours = !state.lives;
  const os::CgroupTree tree = os::CgroupTree::open(
      context.instance.directory, ours ? os::CgroupTree::Missing::create : os::CgroupTree::Missing::leave);
  if (tree.usable()) {
    const bool kills = ::access((tree.path() + "/cgroup.kill").c_str(), F_OK) == 0;
    findings.push_back({Verdict::good, "cgroups", "each run gets a cgroup of its own below " + tree.path(), {}, {}});
    if (!kills)
      findings.push_back(
          {Verdict::note, "cgroups", "cgroup.kill is not there (Linux 5.14): trees are killed one by one", {}, {}});
    check_controllers(tree.not_handed_on(), findings);
    if (ours && tree.leaves().empty()) tree.remove();
    return;
  }
  // A living hearth's tree is below its own cgroup, which need not be ours.
  if (state.lives) {
    findings.push_back({Verdict::note,
                        "cgroups",
                        "the cgroups of the hearth that runs cannot be seen from here; `hearth status --json` tells "
                        "how each service is contained",
                        {},
                        {}});
    return;
  }
  findings.push_back({Verdict::note,
                      "cgroups",
                      "no cgroups: " + tree.why() + "; what a service leaves is found by a sweep of /proc",
                      ::geteuid() == 0
                          ? "mount cgroup v2 writable, as `docker run --privileged` or systemd's Delegate=yes do"
                          : "run hearth under your systemd (packaging/systemd/hearth@.service)",
                      {}});
}

void check_limits(Findings& findings) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max != RLIM_INFINITY && files.rlim_max < few_descriptors) {
    findings.push_back(
        {Verdict::warning,
         "limits",
         fmt::format("{} descriptors at most: enough for about {} services", files.rlim_max, files.rlim_max / 5),
         "raise the hard limit (`ulimit -Hn`, LimitNOFILE= of the unit)",
         {}});
  } else {
    findings.push_back({Verdict::good,
                        "limits",
                        files.rlim_max == RLIM_INFINITY ? "any number of descriptors"
                                                        : fmt::format("{} descriptors at most", files.rlim_max),
                        {},
                        {}});
  }
  const std::uint64_t pages = system_number("/proc/sys/fs/pipe-user-pages-soft");
  if (::geteuid() != 0 && pages > 0 && pages < 65536) {
    findings.push_back(
        {Verdict::note,
         "limits",
         fmt::format("pipes beyond {} of one user hold 8 KiB only (fs.pipe-user-pages-soft = {})", pages / 16, pages),
         "with more services than that, raise it: sysctl fs.pipe-user-pages-soft=262144",
         {}});
  }
}

namespace {

// As versions are compared: number by number. False when one is none.
bool is_older(const std::string& one, const std::string& other) {
  std::array<unsigned, 3> a{}, b{};
  const auto read = [](const std::string& text, std::array<unsigned, 3>& into) {
    return std::sscanf(text.c_str(), "%u.%u.%u", &into[0], &into[1], &into[2]) == 3;
  };
  return read(one, a) && read(other, b) && a < b;
}

void add_error(Verdict verdict, Error error, Findings& findings) {
  const std::string hint = std::exchange(error.hint, {});
  findings.push_back({verdict, "programs", error.text(), hint, {}});
}

// As `hearth upgrade` wants them. What cannot be executed would be missed when its process dies, or hearth is started.
void check_program_files(Findings& findings) {
  const Result<Programs> programs = find_programs();
  if (!programs) return add_error(Verdict::problem, programs.error(), findings);
  bool good = true;
  for (const std::string& path : {programs->keeper, programs->supervisor, programs->logger}) {
    const Result<os::Fd> program = os::open_program(path);
    const Status whole = program ? os::check_whole(*program, path) : Status();
    if (program && whole) continue;
    good = false;
    const bool runs = !program && ::access(path.c_str(), X_OK) == 0;
    add_error(runs ? Verdict::warning : Verdict::problem, program ? whole.error() : program.error(), findings);
  }
  if (good)
    findings.push_back(
        {Verdict::good,
         "programs",
         fmt::format("hearth {}, with {}, hearth-supervisor and hearth-logger beside it", version, programs->keeper),
         {},
         {}});
}

}  // namespace

void check_programs(const Context& context, const InstanceState& state, Findings& findings) {
  check_program_files(findings);
  if (!state.version.empty() && state.version != version) {
    findings.push_back(
        {Verdict::warning,
         "programs",
         fmt::format("the hearth that runs is version {}, this program is {}", state.version, version),
         fmt::format("`hearth {}upgrade` has this one go on, without touching a service{}", context.place_option,
                     is_older(version, state.version) ? "; it is the older one" : ""),
         {}});
  }
}

void check_space(const Context& context, const InstanceState& state, Findings& findings) {
  if (!state.exists) return;
  const std::string& directory = context.instance.directory;
  check_file_system("the instance", directory, findings);
  check_file_system("its state", directory + "/state", findings);
  if (::access(context.instance.log_directory.c_str(), F_OK) == 0)
    check_file_system("logs", context.instance.log_directory, findings);
}

void check_gpu(const Context& context, Findings& findings) {
  const os::GpuReport report = os::gpu_memory();
  if (!report.seen) {
    findings.push_back({Verdict::note, "gpu", "no GPU that tells of its memory", {}, {}});
    return;
  }
  if (!report.trouble.empty()) {
    findings.push_back({Verdict::warning, "gpu", report.trouble, "`dmesg` may say more", {}});
    return;
  }
  if (report.uses.empty()) findings.push_back({Verdict::good, "gpu", "no process has memory of a GPU", {}, {}});
  for (const os::GpuUse& use : report.uses) {
    if (use.pid == 0) {
      findings.push_back(
          {Verdict::note, "gpu", fmt::format("{}: {} MiB are in use", use.gpu, use.bytes / mib), {}, {}});
      continue;
    }
    const bool ours = os::environment_of(use.pid, "HEARTH_INSTANCE") == context.instance.directory;
    const std::string whose = ours ? os::environment_of(use.pid, "HEARTH_SLOT") : os::command_of(use.pid);
    // A context whose process is gone, as the driver tells it after a crash.
    const bool gone = whose.empty();
    findings.push_back({gone ? Verdict::warning : Verdict::note,
                        "gpu",
                        fmt::format("{}: {} MiB are held by {} (PID {})", use.gpu, use.bytes / mib,
                                    gone ? "a process that cannot be seen" : whose, use.pid),
                        gone ? "in a container look from outside; else the driver has lost track of it" : "",
                        {}});
  }
}

}  // namespace hearth::cli
