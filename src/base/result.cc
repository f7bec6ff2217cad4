#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace hearth {
namespace {

Remedy remedy_of(int code) {
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS: return Remedy::no_access;
    case ENOENT:
    case ENOTDIR:
    case ESRCH: return Remedy::not_found;
    case EEXIST:
    case EBUSY:
    case EADDRINUSE:
    case ENOTEMPTY: return Remedy::conflict;
    case EINVAL:
    case ENAMETOOLONG:
    case E2BIG:
    case ENOEXEC: return Remedy::fix_input;
    case ENOSYS:
    case EOPNOTSUPP: return Remedy::environment;
    default: return Remedy::try_later;
  }
}

const char* hint_of(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT: return "free some space or raise the quota";
    case EMFILE: return "raise the limit of open files (ulimit -n)";
    case ENFILE: return "the whole system is out of open files";
    case EROFS: return "the file system is read-only";
    case ENOMEM: return "the system is out of memory";
    default: return "";
  }
}

}  // namespace

std::string Error::text() const {
  std::string out = "cannot " + operation;
  if (!subject.empty()) out += " " + subject;
  if (!reason.empty()) out += ": " + reason;
  if (!hint.empty()) out += "; " + hint;
  return out;
}

bool is_shortage(int code) {
  return code == EMFILE || code == ENFILE || code == ENOMEM;
}

Error errno_error(std::string_view operation, std::string_view subject, int code) {
  return Error{remedy_of(code), std::string(operation), std::string(subject), std::strerror(code), hint_of(code), code};
}

}  // namespace hearth
