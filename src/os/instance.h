// Where an instance lives on disk. The place never depends on the environment (ssh, su and cron must find the
// same one) and never vanishes with a login:
//
//   root     /run/hearth/NAME                               logs in /var/log/hearth/NAME
//   others   ~/.local/state/hearth/HOST-ID/NAME             logs in DIR/logs
//            (home from the user database; HOST-ID because a home may be shared between machines)
//   no home  /var/tmp/hearth-UID/NAME
//   --dir    exactly that directory, the links above it     logs in DIR/logs
//            followed
//
// In it: n/ (a notify socket per run), o/ (a FIFO per run), spec/ (documents). The directory, n/ and o/ are
// 0711, so that a service under another user reaches its own socket by name but lists nothing; spec/ is 0700. And
// state, which os/state_directory.h makes.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

// sun_path holds 108 bytes with its NUL. The longest name below the directory is "/n/" and a 64-bit number.
inline constexpr std::size_t socket_path_max = 107;
inline constexpr std::size_t instance_path_max = socket_path_max - 3 - 20;

// Who asks, and on what machine. host_facts() fills it; tests make their own.
struct HostFacts {
  uid_t uid = 0;
  std::string home;     // "" = none
  std::string host_id;  // first 12 characters of /etc/machine-id, or the host name
  std::string run_root = "/run";
  std::string log_root = "/var/log";
  std::string temp_root = "/var/tmp";
  std::string memory_root = "/dev/shm";
};
HostFacts host_facts();

struct Instance {
  std::string name;
  std::string directory;      // absolute
  std::string log_directory;  // absolute
};

// Computes the place; creates and checks nothing on disk. `directory` is what --dir said, "" = the default
// place. Fails for a name that is no plain word and for a place whose socket paths would be too long.
Result<Instance> find_instance(const std::string& name, const std::string& directory, const HostFacts& host);

// Creates what is missing and checks what is there: ours, a real directory (symbolic links are refused), not
// writable by others. Safe to repeat. Returns O_PATH|O_DIRECTORY of the directory.
Result<Fd> make_instance(const Instance& instance, const HostFacts& host);

// Opens one directory below `parent` without following a link; makes it when missing. It must be ours and closed to
// other writers; its mode is set. `path` is for messages.
Result<Fd> enter_directory(int parent, const std::string& name, const std::string& path, mode_t mode, uid_t uid);

// "n/RUN", "o/RUN", relative to the directory.
std::string notify_name(std::uint64_t run);
std::string fifo_name(std::uint64_t run);

}  // namespace hearth::os
