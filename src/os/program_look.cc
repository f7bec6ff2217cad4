#include "os/program_look.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>

#include "os/fd.h"

namespace hearth::os {
namespace {

bool is_missing(int code) {
  return code == ENOENT || code == ENOTDIR;
}

std::unexpected<Error> not_there(const ProgramLook& look, std::string reason, std::string hint) {
  return failure(Remedy::fix_input, "start", look.label, std::move(reason), std::move(hint));
}

// The same for the same ones, as far as their paths go.
std::string name_of(const std::vector<ProgramLook>& wanted) {
  std::string name;
  for (const ProgramLook& look : wanted) {
    name += look.label + '\0' + look.cwd + '\0' + look.program;
    for (const std::string& path : look.paths) (name += '\0') += path;
    name += '\n';
  }
  return name;
}

Status hangs(const std::vector<ProgramLook>& wanted) {
  return failure(Remedy::try_later, "look for", wanted.front().program,
                 "a disk on which a program or a cwd is does not answer", "try again when it does");
}

Status no_thread(const std::vector<ProgramLook>& wanted, const char* reason, int code) {
  return failure(Error{Remedy::try_later, "look for", wanted.front().program, reason, "try again", code});
}

}  // namespace

Status look_for_program(const ProgramLook& look) {
  Fd directory;
  if (!look.cwd.empty()) {
    directory = Fd(::open(look.cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const int code = directory ? 0 : errno;
    struct stat st{};
    if (code == ENOTDIR && ::stat(look.cwd.c_str(), &st) == 0)
      return not_there(look, "its cwd " + look.cwd + " is no directory", "correct cwd");
    if (is_missing(code)) return not_there(look, "its cwd " + look.cwd + " is not there", "make it, or correct cwd");
  }
  std::string unusable;
  for (const std::string& path : look.paths) {
    if (!path.starts_with('/') && !directory) return {};  // nobody knows below what
    struct stat st{};
    if (::fstatat(directory ? directory.get() : AT_FDCWD, path.c_str(), &st, 0) < 0) {
      if (!is_missing(errno)) return {};
      continue;
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0) return {};
    unusable = path + (S_ISREG(st.st_mode) ? " is not executable" : " is no program");
  }
  if (look.paths.empty()) return {};
  if (!unusable.empty()) return not_there(look, unusable, "make it executable, or correct command");
  if (look.program.find('/') == std::string::npos)
    return not_there(look, "there is no " + look.program + " in its PATH", "install it, or correct command or PATH");
  return not_there(look, look.program + " is not there", "install it, or correct command");
}

std::optional<Status> ProgramLooks::of(const std::vector<ProgramLook>& wanted, MonoNs now) {
  // Nobody asks for these any more, as their order was refused for something else: what was found then is not so now.
  std::erase_if(asked_, [&](const Asked& one) { return now - one.last >= hangs_after; });
  auto asked = std::ranges::find(asked_, wanted, &Asked::wanted);
  const bool fresh = asked == asked_.end();
  if (fresh) {
    const std::string whose = name_of(wanted);
    switch (left_behind_.room_for(whose, now)) {
      case Room::yes: break;
      case Room::own_hangs: return hangs(wanted);
      case Room::soon: return no_thread(wanted, std::strerror(EAGAIN), EAGAIN);
      case Room::none: return no_thread(wanted, "too many other looks hang, and no more are begun", EAGAIN);
    }
    Asked one{wanted, {}, now, now};
    const auto look_for_all = [how = how_, wanted]() -> Status {
      for (const ProgramLook& look : wanted)
        if (Status found = how(look); !found) return found;
      return {};
    };
    if (const int error = one.aside.ask("hearth-look", look_for_all); error != 0)
      return no_thread(wanted, std::strerror(error), error);
    left_behind_.add(whose, one.aside.trace(), now);
    asked = asked_.insert(asked_.end(), std::move(one));
  }
  asked->last = now;
  std::optional<Status> answer = asked->aside.answer(fresh ? patience : 0);
  if (!answer && now - asked->since < hangs_after) return {};
  if (!answer) answer = hangs(wanted);
  asked_.erase(asked);
  return answer;
}

}  // namespace hearth::os
