#include "tidy/rules.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace hearth::tidy {
namespace {

using Names = std::set<std::string, std::less<>>;

// Who may include whom. "room" is any header of that room, "room/file.h" only that one.
const std::map<std::string, Names, std::less<>>& edges() {
  static const Names outside = {"ports", "wire", "model", "base", "os"};
  static const Names client = {"config", "protocol", "model", "os", "base", "ports", "logs"};
  static const Names commands = {"config", "protocol", "model", "os", "base", "ports", "logs", "importers"};
  static const std::map<std::string, Names, std::less<>> table = {
      {"base", {}},
      {"wire", {"base/ids.h"}},
      {"model", {"base"}},
      {"ports", {"base", "model"}},
      {"config", {"base", "model", "wire"}},
      {"lifecycle", {"base", "model"}},
      {"health", {"base", "model"}},
      {"pool", {"base", "model"}},
      {"channel", {"base", "model"}},
      {"protocol", {"base", "model", "wire"}},
      {"supervisor", {"base", "model", "config", "lifecycle", "health", "pool", "protocol", "wire", "ports"}},
      {"keeper", {"wire", "base/ids.h"}},
      {"os", outside},
      {"store", outside},
      {"logs", outside},
      {"probe", outside},
      {"logger", {"wire", "base", "os"}},
      {"broker", {"pool", "protocol", "store", "os", "base", "model"}},
      {"api", client},
      {"importers", {"base", "model"}},
      {"cli", commands},
      {"sdk", {"channel", "protocol", "os", "base"}},
      {"apps", {"base",    "wire",     "model",      "ports",  "config",    "lifecycle", "health", "pool",
                "channel", "protocol", "supervisor", "keeper", "os",        "logger",    "store",  "logs",
                "probe",   "broker",   "api",        "sdk",    "importers", "cli"}},
  };
  return table;
}

const Names kPureRooms = {"base",   "wire", "model",   "ports",    "config",     "lifecycle",
                          "health", "pool", "channel", "protocol", "supervisor", "importers"};
const Names kRoomsWithoutFmt = {"base", "wire", "model", "keeper"};

// "src/os/fd.h" -> "os"; empty for what is not in a room.
std::string room_of(std::string_view path) {
  if (!path.starts_with("src/")) return {};
  path.remove_prefix(4);
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

struct Include {
  int line;
  char open;  // '"' or '<'
  std::string target;
};

std::vector<Include> includes_of(const SourceFile& file) {
  static const std::regex directive(R"(^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">])");
  std::vector<Include> found;
  std::istringstream lines(file.without_notes);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, directive)) {
      found.push_back({number, *match[1].first, match[2]});
    }
  }
  return found;
}

void find_all(const SourceFile& file, const std::string& text, const std::regex& pattern, const std::string& what,
              Findings& findings) {
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    findings.push_back({file.path, line_of(text, static_cast<std::size_t>(it->position())), what});
  }
}

void check_include_edge(const SourceFile& file, const std::string& room, const Names& allowed, const Include& include,
                        Findings& findings) {
  const std::size_t slash = include.target.find('/');
  const std::string other = include.target.substr(0, slash);
  if (slash == std::string::npos || other == "." || other == "..") {
    findings.push_back(
        {file.path, include.line, "\"" + include.target + "\" names no room: write it as \"room/header.h\""});
  } else if (other == "hearth") {
    if (room != "sdk" && room != "apps") {
      findings.push_back({file.path, include.line, "public headers are for users; inside, only sdk and apps see them"});
    }
  } else if (!edges().contains(other)) {
    findings.push_back({file.path, include.line, "there is no room \"" + other + "\""});
  } else if (other != room && !allowed.contains(other) && !allowed.contains(include.target)) {
    findings.push_back({file.path, include.line,
                        room + " may not include \"" + include.target + "\": no edge of the design goes from " + room +
                            " to " + other});
  }
}

void check_cmake_deps(const SourceTree& tree, const SourceFile& file, const std::string& room, const Names& allowed,
                      Findings& findings) {
  static const std::regex call(R"(hearth_room\(\s*([a-z_]+)([^)]*)\))");
  std::smatch match;
  if (!std::regex_search(file.text, match, call)) return;
  std::istringstream words(match[2].str());
  std::string word;
  for (bool in_deps = false; words >> word;) {
    if (word == "DEPS" || word == "LIBS") {
      in_deps = word == "DEPS";
      continue;
    }
    const bool by_header =
        std::ranges::any_of(allowed, [&](const std::string& edge) { return edge.starts_with(word + "/"); });
    if (!in_deps) continue;
    const int line = line_of(file.text, static_cast<std::size_t>(match.position()));
    if (!allowed.contains(word) && !by_header) {
      findings.push_back({file.path, line, room + " may not depend on " + word});
    } else if (tree.find("src/" + word + "/CMakeLists.txt") == nullptr) {
      findings.push_back({file.path, line, room + " depends on " + word + ", which does not exist"});
    }
  }
}

}  // namespace

std::string Finding::to_string() const {
  return path + (line > 0 ? ":" + std::to_string(line) : std::string()) + ": " + what;
}

std::string to_string(const Findings& findings) {
  std::string all;
  for (const Finding& finding : findings) all += finding.to_string() + "\n";
  return all;
}

Findings check_layering(const SourceTree& tree) {
  Findings findings;
  for (const SourceFile& file : tree.files) {
    const std::string room = room_of(file.path);
    if (room.empty()) continue;
    const auto entry = edges().find(room);
    if (entry == edges().end()) {
      findings.push_back({file.path, 0, "no room \"" + room + "\" is in the table of tests/tidy"});
      continue;
    }
    if (file.name() == "CMakeLists.txt") {
      check_cmake_deps(tree, file, room, entry->second, findings);
    }
    if (!file.is_cpp()) continue;
    for (const Include& include : includes_of(file)) {
      if (include.open == '"') check_include_edge(file, room, entry->second, include, findings);
    }
  }
  return findings;
}

Findings check_purity(const SourceTree& tree) {
  static const std::regex impure(
      R"(^(sys/.*|linux/.*|unistd\.h|fcntl\.h|signal\.h|csignal|poll\.h|sched\.h|pthread\.h|thread|)"
      R"(future|coroutine|boost/asio.*|boost/beast.*)$)");
  static const std::regex clock(R"(\b(system_clock|steady_clock|high_resolution_clock|clock_gettime|gettimeofday)\b)");
  Findings findings;
  for (const SourceFile& file : tree.files) {
    const std::string room = room_of(file.path);
    if (room.empty() || !file.is_cpp()) continue;
    const bool pure = kPureRooms.contains(room);
    for (const Include& include : includes_of(file)) {
      if (include.open != '<') continue;
      if (pure && std::regex_match(include.target, impure)) {
        findings.push_back({file.path, include.line,
                            "<" + include.target + "> in the pure room " + room + ": ask for it through a port"});
      }
      if (kRoomsWithoutFmt.contains(room) && include.target.starts_with("fmt/")) {
        findings.push_back({file.path, include.line, "fmt in " + room + ", which does without it"});
      }
    }
    if (pure) {
      find_all(file, file.code, clock, "a clock in the pure room " + room + ": time arrives as an argument", findings);
    }
  }
  return findings;
}

SizeReport check_sizes(const SourceTree& tree, std::string_view exceptions) {
  constexpr int kWarn = 500;
  constexpr int kFail = 800;
  static const std::string list = "tests/tidy/size_exceptions.txt";
  SizeReport report;

  std::map<std::string, int> allowed;
  std::istringstream lines{std::string(exceptions)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string path;
    int limit = 0;
    if (!(words >> path >> limit)) {
      report.failures.push_back({list, number, "not of the form \"path lines\": " + line});
      continue;
    }
    const SourceFile* file = tree.find(path);
    if (file == nullptr || file->line_count() <= kFail) {
      report.failures.push_back({list, number, path + " needs no exception any more: remove it"});
    } else if (file->line_count() < limit) {
      report.failures.push_back(
          {list, number, path + " has shrunk: lower its limit to " + std::to_string(file->line_count())});
    }
    allowed[path] = limit;
  }

  for (const SourceFile& file : tree.files) {
    const std::string e = file.extension();
    if (!file.path.starts_with("src/") || (e != ".cc" && e != ".h")) continue;
    const int count = file.line_count();
    const auto exception = allowed.find(file.path);
    const int limit = exception == allowed.end() ? kFail : exception->second;
    const std::string has = "has " + std::to_string(count) + " lines";
    if (count > limit) {
      report.failures.push_back({file.path, 0, has + ", more than " + std::to_string(limit) + ": split it by subject"});
    } else if (count > kWarn) {
      report.warnings.push_back({file.path, 0, has + "; at 800 this is an error"});
    }
  }
  return report;
}

Findings check_no_sleep(const SourceTree& tree) {
  static const std::regex cpp_sleep(R"(\b(sleep|usleep|nanosleep|clock_nanosleep|sleep_for|)"
                                    R"(sleep_until)\s*\()");
  static const std::regex cpp_test(R"(\b(TEST|TEST_F|TEST_P|TYPED_TEST)\s*\()");
  static const std::regex cpp_main(R"(\bint\s+main\s*\()");
  static const std::regex python_sleep(R"(^[^#\n]*\bsleep\s*\()", std::regex::multiline);
  static const std::regex shell_sleep(R"(^([^#\n]*[;&|(\s])?sleep\s+["$0-9])", std::regex::multiline);
  static const std::string what = "a test that sleeps: advance a clock, or wait for the event with a deadline";
  Findings findings;
  for (const SourceFile& file : tree.files) {
    if (!file.path.starts_with("tests/")) continue;
    const bool marked = file.text.find(kServiceMarker) != std::string::npos;
    if (file.is_cpp()) {
      const bool is_program = std::regex_search(file.code, cpp_main) && !std::regex_search(file.code, cpp_test);
      if (!marked || !is_program) find_all(file, file.code, cpp_sleep, what, findings);
      continue;
    }
    if (marked) continue;
    const std::string first = file.text.substr(0, file.text.find('\n'));
    const bool script = first.starts_with("#!");
    if (file.extension() == ".py" || (script && first.find("python") != std::string::npos)) {
      find_all(file, file.text, python_sleep, what, findings);
    } else if (file.extension() == ".sh" || script) {
      find_all(file, file.text, shell_sleep, what, findings);
    }
  }
  return findings;
}

Findings check_room_readmes(const SourceTree& tree) {
  std::map<std::string, std::vector<std::string>> headers;  // room -> its headers
  for (const SourceFile& file : tree.files) {
    const std::string room = room_of(file.path);
    if (room.empty() || !file.is_cpp()) continue;
    std::vector<std::string>& list = headers[room];
    if (file.extension() == ".h") list.push_back(file.name());
  }
  Findings findings;
  for (const auto& [room, names] : headers) {
    const std::string path = "src/" + room + "/README.md";
    const SourceFile* readme = tree.find(path);
    if (readme == nullptr) {
      findings.push_back({path, 0, "missing: say what the room is for and which header is its face"});
      continue;
    }
    const bool names_one = std::ranges::any_of(
        names, [&](const std::string& name) { return readme->text.find(name) != std::string::npos; });
    if (!names.empty() && !names_one) {
      findings.push_back({path, 0, "names none of the room's headers: which one is its face?"});
    }
  }
  return findings;
}

Findings check_doc_index(const SourceTree& tree) {
  static const std::regex link(R"(\]\(([^)#]+)(#[^)]*)?\))");
  Findings findings;
  for (const std::string directory : {"docs/formats/", "docs/decisions/"}) {
    Names pages;
    for (const SourceFile& file : tree.files) {
      if (file.path.starts_with(directory)) pages.insert(file.path.substr(directory.size()));
    }
    if (pages.empty()) continue;
    const SourceFile* index = tree.find(directory + "README.md");
    if (index == nullptr) {
      findings.push_back({directory + "README.md", 0, "missing: it is the index of its directory"});
      continue;
    }
    Names linked = {"README.md"};
    const std::string& text = index->text;
    for (std::sregex_iterator it(text.begin(), text.end(), link), end; it != end; ++it) {
      const std::string target = (*it)[1];
      linked.insert(target);
      if (target.find('/') == std::string::npos && !pages.contains(target)) {
        findings.push_back({index->path, line_of(text, static_cast<std::size_t>(it->position())),
                            "links to " + target + ", which does not exist"});
      }
    }
    for (const std::string& page : pages) {
      if (!linked.contains(page)) {
        findings.push_back({directory + page, 0, "is not linked from " + index->path});
      }
    }
  }
  return findings;
}

namespace {

// Tests as "Suite.name", the suites themselves, and planted bugs.
struct Proofs {
  Names tests, suites, plants;
};

Proofs proofs_of(const SourceTree& tree) {
  static const std::regex declared(R"(\b[A-Z_]*(?:TEST|TEST_F|TEST_P|PROP|PROP_F)\(\s*(\w+),\s*(\w+))");
  static const std::regex quoted("\"([a-z]+(?:-[a-z]+)+)\"");
  Proofs proofs;
  for (const SourceFile& file : tree.files) {
    if (!file.path.starts_with("tests/") || file.extension() != ".cc") continue;
    const std::string& text = file.without_notes;
    for (std::sregex_iterator it(text.begin(), text.end(), declared), end; it != end; ++it) {
      proofs.tests.insert((*it)[1].str() + "." + (*it)[2].str());
      proofs.suites.insert((*it)[1]);
    }
    if (!file.path.starts_with("tests/sim/plants")) continue;
    for (std::sregex_iterator it(text.begin(), text.end(), quoted), end; it != end; ++it)
      proofs.plants.insert((*it)[1]);
  }
  return proofs;
}

void find_unknown(const SourceFile& page, const std::regex& named, const Names& known, const std::string& what,
                  Findings& findings) {
  for (std::sregex_iterator it(page.text.begin(), page.text.end(), named), end; it != end; ++it)
    if (!known.contains((*it)[1]))
      findings.push_back({page.path, line_of(page.text, static_cast<std::size_t>(it->position())),
                          "names " + (*it)[1].str() + ", and there is no such " + what});
}

}  // namespace

Findings check_proofs(const SourceTree& tree) {
  static const std::regex test(R"(`([A-Z]\w+\.\w+)`)");
  static const std::regex suite(R"(`([A-Z]\w*[a-z]\w*)`)");
  static const std::regex shortened(R"(`(\.\w+)`)");
  static const std::regex plant(R"(`([a-z]+(?:-[a-z]+)+)`)");
  const Proofs proofs = proofs_of(tree);
  Findings findings;
  for (const char* const path : {"docs/internals/guarantees.md", "docs/internals/threat-model.md"}) {
    const SourceFile* page = tree.find(path);
    if (page == nullptr) {
      findings.push_back({path, 0, "missing: it says what is promised, and by which tests that is proven"});
      continue;
    }
    find_unknown(*page, test, proofs.tests, "test", findings);
    find_unknown(*page, suite, proofs.suites, "suite of tests", findings);
    find_unknown(*page, shortened, {}, "test: write its suite before it", findings);
  }
  // Words with a hyphen are planted bugs on that page alone.
  if (const SourceFile* page = tree.find("docs/internals/guarantees.md"))
    find_unknown(*page, plant, proofs.plants, "planted bug", findings);
  return findings;
}

Findings check_names(const SourceTree& tree) {
  static const std::regex snake(R"([a-z0-9]+(_[a-z0-9]+)*)");
  static const Names judged = {".cc", ".h", ".c", ".py", ".sh", ".cmake"};
  static const Names tops = {"src", "include", "tests", "bench", "cmake"};
  Findings findings;
  for (const SourceFile& file : tree.files) {
    const std::filesystem::path path(file.path);
    if (!judged.contains(file.extension()) || !tops.contains(path.begin()->string())) continue;
    for (const std::filesystem::path& part : path) {
      const std::string stem = part == path.filename() ? part.stem() : part;
      if (!std::regex_match(stem, snake)) {
        findings.push_back({file.path, 0, "\"" + part.string() + "\" is not snake_case"});
        break;
      }
    }
  }
  return findings;
}

}  // namespace hearth::tidy
