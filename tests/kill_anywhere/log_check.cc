#include "log_check.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <vector>
#include <zstd.h>

#include "os/fd.h"
#include "support/lines.h"
#include "support/log_lines.h"

namespace hearth::kill_anywhere {
namespace {

struct Reading {
  const Written& written;
  LogFindings findings;
  std::map<std::uint64_t, std::uint64_t> seen;  // number, run
  std::map<std::uint64_t, std::uint64_t> last_of_run;

  void complain(std::uint64_t& count, const std::string& what) {
    ++count;
    if (findings.example.empty()) findings.example = what;
  }

  void take(const support::LogLine& line) {
    if (!line.whole || line.torn || line.number >= written.begun)
      return complain(findings.damaged, "in " + line.where + ": " + support::shown(line.text));
    const std::string name = "line " + std::to_string(line.number) + " of run " + std::to_string(line.run);
    if (!seen.emplace(line.number, line.run).second)
      return complain(findings.doubled, name + " stands in " + line.where + " again");
    const auto last = last_of_run.find(line.run);
    if (last != last_of_run.end() && last->second > line.number)
      complain(findings.disordered, name + " comes after line " + std::to_string(last->second) + " in " + line.where);
    last_of_run[line.run] = line.number;
    ++findings.lines;
  }
};

namespace fs = std::filesystem;

// Of all frames; as far as it can be read.
std::string decompressed(const std::string& bytes) {
  std::string text;
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::vector<char> piece(ZSTD_DStreamOutSize());
  for (bool more = true; more;) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    const bool broken = ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)) != 0;
    text.append(piece.data(), out.pos);
    more = !broken && (in.pos < in.size || out.pos == out.size);
  }
  ZSTD_freeDStream(stream);
  return text;
}

// The log as it was before files of it were compressed, in a directory of its own that goes with this.
class PlainCopy {
 public:
  explicit PlainCopy(const std::string& directory) : path_(directory) {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) names.insert(entry.path().filename().string());
    for (const std::string& name : names) compressed_ += name.ends_with(".log.zst") ? 1 : 0;
    if (compressed_ == 0) return;
    // Beside it, for what lies inside would be part of the log.
    path_ = directory + ".plain";
    fs::create_directory(path_, error);
    for (const std::string& name : names) {
      const bool zst = name.ends_with(".log.zst");
      const std::string plain = zst ? name.substr(0, name.size() - 4) : name;
      if ((!zst && !name.ends_with(".log")) || fs::is_symlink(directory + "/" + name, error)) continue;
      const std::string bytes = os::read_file(directory + "/" + name).value_or("");
      const std::string text = zst ? decompressed(bytes) : bytes;
      // Killed in between, the logger leaves both.
      if (zst && names.contains(plain) && text != os::read_file(directory + "/" + plain).value_or(text))
        different_ = name + " and " + plain + " are not the same";
      std::ofstream(path_ + "/" + plain, std::ios::binary) << text;
    }
  }
  ~PlainCopy() {
    std::error_code error;
    if (compressed_ != 0) fs::remove_all(path_, error);
  }
  PlainCopy(const PlainCopy&) = delete;
  PlainCopy& operator=(const PlainCopy&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t compressed() const { return compressed_; }
  const std::string& different() const { return different_; }

 private:
  std::string path_, different_;
  std::uint64_t compressed_ = 0;
};

}  // namespace

Written read_counters(const std::string& path) {
  const std::string bytes = os::read_file(path).value_or("");
  Written written;
  if (bytes.size() < sizeof(support::Counters)) return written;
  const auto* at = reinterpret_cast<const std::uint64_t*>(bytes.data());
  written.begun = at[0];
  written.finished = at[1];
  return written;
}

LogFindings check_log(const std::string& directory, const std::string& format, const Written& written) {
  Reading reading{written, {}, {}, {}};
  const PlainCopy copy(directory);
  reading.findings.compressed = copy.compressed();
  if (!copy.different().empty()) reading.complain(reading.findings.damaged, copy.different());
  support::LogCursor cursor(copy.path(), support::log_form(format));
  cursor.read([&](const support::LogLine& line) { reading.take(line); });
  reading.findings.files = cursor.files();
  if (!cursor.rest().empty())
    reading.complain(reading.findings.damaged, "the log ends in the middle of " + support::shown(cursor.rest()));
  while (reading.seen.contains(reading.findings.prefix)) ++reading.findings.prefix;
  bool in_gap = false;
  std::uint64_t run = reading.seen.empty() ? 0 : reading.seen.begin()->second;
  for (std::uint64_t number = 0; number < written.finished; ++number) {
    const bool here = reading.seen.contains(number);
    if (!here) reading.complain(reading.findings.lost, "line " + std::to_string(number) + " is not there");
    if (here) run = reading.seen.at(number);
    if (!here && !in_gap) ++reading.findings.gaps;
    if (!here) reading.findings.lost_bytes += support::make_line(number, run).size();
    in_gap = !here;
  }
  return reading.findings;
}

std::string text_of(const LogFindings& findings) {
  std::string text = std::to_string(findings.lines) + " lines in " + std::to_string(findings.files) + " files";
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count != 0) text += ", " + std::to_string(count) + " " + what;
  };
  add(findings.lost, "lost");
  add(findings.doubled, "twice");
  add(findings.disordered, "out of order");
  add(findings.damaged, "damaged");
  if (!findings.example.empty()) text += "; first: " + findings.example;
  return text;
}

}  // namespace hearth::kill_anywhere
