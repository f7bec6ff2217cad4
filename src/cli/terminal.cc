#include "cli/terminal.h"

#include <cstdlib>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace hearth::cli {

Terminal look_at_terminal(int fd) {
  Terminal terminal;
  if (::isatty(fd) == 0) return terminal;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0) {
    terminal.columns = size.ws_col;
    terminal.rows = size.ws_row;
  }
  if (terminal.columns == 0) terminal.columns = 80;  // a serial line knows no size
  if (terminal.rows == 0) terminal.rows = 24;
  const char* kind = std::getenv("TERM");
  const bool dumb = kind == nullptr || *kind == '\0' || std::string_view(kind) == "dumb";
  const char* no_color = std::getenv("NO_COLOR");
  terminal.interactive = !dumb;
  terminal.color = !dumb && (no_color == nullptr || *no_color == '\0');
  return terminal;
}

}  // namespace hearth::cli
