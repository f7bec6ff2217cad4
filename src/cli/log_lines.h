// What services have written, for commands: which directories, and lines out of bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/answers.h"

namespace hearth::cli {

// Does it mean this one? "service", "project.service", each with ".INDEX", and with the shell's * and ?.
bool selects(std::string_view name, const SlotNews& slot);

// The last lines of all runs, oldest first, without line ends. Empty when there is nothing, or it cannot be read.
std::vector<std::string> last_lines(const SlotNews& slot, std::size_t count);
// Of these, those that came at `since` or later, as far as their times are known.
std::vector<std::string> last_lines_since(const SlotNews& slot, std::size_t count, WallNs since);

// Until nothing has been written there for a moment, or for `most`: what has just ended may have last words that are
// still on their way into the file.
void wait_for_last_words(const SlotNews& slot, SpanNs most);

// The services whose logs stand in `log_directory` (as PROJECT.SERVICE.INDEX) and that `names` select, with only
// names and log_directory filled in: for a hearth that does not run, or has forgotten them. No names select all. A name
// that selects none is not_found, with the nearest as hint. `also`: others that a name may select, which need not have
// written yet.
Result<std::vector<SlotNews>> services_with_logs(const std::string& log_directory,
                                                 const std::vector<std::string>& names,
                                                 const std::vector<SlotNews>& also = {});

// Takes out of `slots` those that are not among `known`, and returns them: what is down and forgotten leaves its log.
std::vector<SlotNews> take_forgotten(std::vector<SlotNews>& slots, const std::vector<SlotNews>& known);

// Cuts a stream of bytes into lines. A line longer than a mebibyte is delivered in pieces: somebody who writes no
// newline shall not fill our memory.
class LineCutter {
 public:
  using Line = std::function<void(std::string_view)>;

  void add(std::string_view bytes, const Line& line);
  // What stands after the last newline.
  void finish(const Line& line);

 private:
  std::string rest_;
};

}  // namespace hearth::cli
