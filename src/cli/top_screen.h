// The live screen of `hearth top`: what keys mean, and what is drawn. Neither reads nor writes: the caller does.
//
// Model
// -----
//   table     the rows, one of them chosen or none. A service that is chosen stays so when the rows change their order
//   question  "restart web? y/n": y orders it, any other key does not. Of stop it says that others may stop with it
//   log       the last lines of the chosen service; any key leads back
//
//   key                  in the table
//   c m r u n            sort by CPU, memory, restarts, uptime, name
//   up k, down j         choose a row; ESC: none
//   l                    the chosen service's log
//   R S t                restart, stop, start it: a question first
//   q                    the end
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"
#include "cli/top_table.h"

namespace hearth::cli {

class TopScreen {
 public:
  struct Wish {
    std::string verb;  // of the API
    std::string name;  // in full
  };
  using LastLines = std::function<std::vector<std::string>(const SlotNews&, std::size_t)>;

  explicit TopScreen(TopOrder order) : order_(order) {}

  // What was typed; true: it is over.
  bool type(std::string_view bytes);
  // An order that was wished since the last call.
  std::optional<Wish> take_wish();
  // For the line below the table, until the next key.
  void say(std::string message) { message_ = std::move(message); }

  // Sorts the rows. The text fits the terminal, line behind the last one included.
  std::string frame(std::vector<TopRow> rows, const Terminal& terminal, const LastLines& last_lines);

 private:
  enum class Mode { table, question, log };
  bool press(char key);
  void move(int by);
  void ask(const char* verb);
  std::string last_line(std::size_t columns) const;

  TopOrder order_;
  Mode mode_ = Mode::table;
  std::vector<std::string> names_;  // in full, as last drawn
  std::string chosen_, label_;      // in full and as shown; "": none
  std::string verb_, message_;
  std::optional<Wish> wish_;
};

}  // namespace hearth::cli
