// What can happen is returned, not thrown. An Error says what was attempted, on what, why it failed and what
// to do next; its kind is named by the remedy, because that is what callers branch on.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace hearth {

// Named by what the caller can do.
enum class Remedy {
  fix_input,    // the request or file is wrong: change it
  try_later,    // a resource is short or a peer is away: the same request may work later
  no_access,    // permission or ownership: somebody else must act
  not_found,    // the name is unknown: choose another
  conflict,     // something else holds it: stop that, or choose another
  environment,  // the machine lacks something: install or configure it
};

struct Error {
  Remedy remedy = Remedy::try_later;
  std::string operation;  // "open", "start", "parse"
  std::string subject;    // path, service or key
  std::string reason;     // why, in words
  std::string hint;       // what to do next; may be empty
  int code = 0;           // errno, where there is one

  // "cannot OPERATION SUBJECT: REASON; HINT"
  std::string text() const;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

// An Error from an errno value; the remedy is derived from it (ENOSPC, EMFILE: try_later; EACCES: no_access;
// ENOENT: not_found; EEXIST, EBUSY, EADDRINUSE: conflict).
Error errno_error(std::string_view operation, std::string_view subject, int code);

// Of descriptors or of memory (EMFILE, ENFILE, ENOMEM): what cannot be done or seen now may be there all the same.
bool is_shortage(int code);

// failure(...) in a return statement builds the unexpected side.
inline std::unexpected<Error> failure(Error error) {
  return std::unexpected<Error>(std::move(error));
}
inline std::unexpected<Error> failure(Remedy remedy, std::string operation, std::string subject, std::string reason,
                                      std::string hint = {}) {
  return failure(Error{remedy, std::move(operation), std::move(subject), std::move(reason), std::move(hint), 0});
}
inline std::unexpected<Error> errno_failure(std::string_view operation, std::string_view subject, int code) {
  return failure(errno_error(operation, subject, code));
}

}  // namespace hearth
