// hearth-kill-anywhere: kills hearth's processes at each of their system calls and looks whether anybody noticed.
// README.md in this directory says how it works.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "campaign.h"

namespace {

constexpr const char* usage =
    "usage: hearth-kill-anywhere [options]\n"
    "  --role R          only points of this role: supervisor, spawner, logger, keeper, commit (steps inside the\n"
    "                    supervisor's commits), dry-run (in the story keeper), all (everything is killed at once)\n"
    "  --story S         life (the default), change, upgrade, keeper, or revival: what happens to the services;\n"
    "                    README.md tells\n"
    "  --also R          together with the process that is killed, the one of this role: keeper, supervisor, logger,\n"
    "                    spawner\n"
    "  --calls A:B       only points at calls (or commits) number A to B\n"
    "  --sample N        N points, so that every kind of system call of every role is hit; without it, all points\n"
    "  --seed S          of the sample; it is printed\n"
    "  --part I/N        the I-th of N parts of all points (1/4 to 4/4 are the whole, but for calls that one\n"
    "                    evening's clean runs had and another's had not)\n"
    "  --point P         this one: ORDINAL:CALL:entry|exit[:all|:with-ROLE], or commit:N:INSTRUCTION. CALL is\n"
    "                    the number of the call, or of one of its kind: 17, openat#4; with --fail\n"
    "                    ORDINAL:CALL:fail-EIO, or fail-EIOx10. Ordinals: 0 keeper, 1 "
    "supervisor, 2 logger, 3 and 4 spawners;\n"
    "                    in the story upgrade 5 next supervisor, 6 next logger; in the story keeper 5 dry run,\n"
    "                    6 and 7 the next spawners\n"
    "  --fail            kill nobody: make calls fail, once and ten times, as a kernel short of everything does\n"
    "  --commit N:I      the same as --point commit:N:I\n"
    "  --jobs N          runs at a time (3 for each processor: a run waits more than it works)\n"
    "  --deadline S      seconds that a step may wait for its event (20)\n"
    "  --keep            keep all directories, not only those of runs with violations, and write the\n"
    "                    victim's calls with their times into them\n"
    "  --json            the table as one line of JSON on standard output, the rest on standard error\n"
    "  --bin DIR         where hearth's programs are (beside this one)\n"
    "for the test of this test:\n"
    "  --supervisor F    this program instead of hearth-supervisor\n"
    "  --logger F        this program instead of hearth-logger\n"
    "  --next-keeper F   what the keeper is to execute in the story keeper\n"
    "  --service-mode M  drops-a-line: the services a, m and o leave one line out each; leaves: u exits untold\n";

std::string directory_of_self() {
  char* path = realpath("/proc/self/exe", nullptr);
  std::string text = path == nullptr ? "" : path;
  std::free(path);
  return text.substr(0, text.rfind('/'));
}

[[noreturn]] void refuse(const std::string& what) {
  std::fprintf(stderr, "hearth-kill-anywhere: %s\n%s", what.c_str(), usage);
  std::exit(2);
}

// Measured with 278 points of `life` on two processors: 208 s with one at a time, 62 with 4, 50 with 6, 41 with 10.
int usual_jobs() {
  return 3 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

hearth::kill_anywhere::CampaignOptions parse(int argc, char** argv) {
  hearth::kill_anywhere::CampaignOptions options;
  options.jobs = usual_jobs();
  options.programs = directory_of_self();
  options.self = argv[0];
  options.seed = std::random_device{}();
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) refuse(name + " needs a value");
      return argv[++i];
    };
    if (name == "--role")
      options.role = value();
    else if (name == "--story" || name == "--also") {
      const std::string text = value();
      const auto story = hearth::kill_anywhere::story_named(text);
      const auto also = hearth::kill_anywhere::scope_with(text);
      if (name == "--story" ? !story : !also) refuse("\"" + text + "\" is no " + name.substr(2));
      if (name == "--story")
        options.story = *story;
      else
        options.also = *also;
    } else if (name == "--calls") {
      const std::string range = value();
      char* colon = nullptr;
      options.first_call = std::strtoull(range.c_str(), &colon, 10);
      if (*colon != ':') refuse("--calls takes two numbers: A:B");
      options.last_call = std::strtoull(colon + 1, nullptr, 10);
    } else if (name == "--sample")
      options.sample = std::strtoull(value().c_str(), nullptr, 10);
    else if (name == "--part") {
      const std::string text = value();
      char* slash = nullptr;
      const std::uint64_t part = std::strtoull(text.c_str(), &slash, 10);
      char* end = slash;
      options.parts = *slash == '/' ? std::strtoull(slash + 1, &end, 10) : 0;
      if (*end != '\0') options.parts = 0;
      if (part < 1 || part > options.parts) refuse("--part takes I/N, with I from 1 to N");
      options.part = part - 1;
    } else if (name == "--seed")
      options.seed = std::strtoull(value().c_str(), nullptr, 10);
    else if (name == "--jobs")
      options.jobs = std::atoi(value().c_str());
    else if (name == "--deadline")
      options.deadline = hearth::seconds(std::atoi(value().c_str()));
    else if (name == "--fail")
      options.fail = true;
    else if (name == "--keep")
      options.keep = true;
    else if (name == "--json")
      options.json = true;
    else if (name == "--bin")
      options.programs = value();
    else if (name == "--supervisor")
      options.supervisor = value();
    else if (name == "--logger")
      options.logger = value();
    else if (name == "--next-keeper")
      options.next_keeper = value();
    else if (name == "--service-mode")
      options.service_mode = value();
    else if (name == "--point" || name == "--commit") {
      const std::string text = (name == "--commit" ? "commit:" : "") + value();
      options.only = hearth::kill_anywhere::parse_point(text);
      if (!options.only) refuse("\"" + text + "\" is no point");
    } else if (name == "--help") {
      std::fputs(usage, stdout);
      std::exit(0);
    } else {
      refuse("unknown option " + name);
    }
  }
  static const std::set<std::string> roles = {"",       "supervisor", "spawner", "logger",
                                              "keeper", "commit",     "dry-run", "all"};
  if (!roles.contains(options.role)) refuse("\"" + options.role + "\" is no role");
  if (hearth::kill_anywhere::ordinals_of(options.story, options.role).empty())
    refuse("in this story nobody of role \"" + options.role + "\" is killed");
  if (options.also != hearth::kill_anywhere::Scope::target && (options.role == "all" || options.role == "commit"))
    refuse("--also is for the role of one process");
  if (options.fail && options.story == hearth::kill_anywhere::Story::upgrade)
    refuse(
        "--fail is not for the story upgrade: there, a program whose call fails on trial is taken back, as it is to "
        "be");
  if (options.jobs < 1) refuse("--jobs is at least 1");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  return hearth::kill_anywhere::run_campaign(parse(argc, argv));
}
