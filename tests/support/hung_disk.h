// A file system that does not answer: a server of our own on /dev/fuse, as an NFS server that is away or a disk that is
// dead. Whoever looks for a name on it waits in the kernel; of the mount point itself all is answered, so that nobody else
// on the machine waits.
//
//   reads      the server has taken the request: no signal ends the wait, SIGKILL neither, as on a dead disk
//   does not   the request lies in the kernel's queue: SIGKILL takes it back, as from an NFS server (mount -o hard)
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "os/fd.h"

namespace hearth::support {

class HungDisk {
 public:
  enum class Requests { read, unread };
  // Makes the directory. Only root may, and only where there is /dev/fuse: see mounted().
  explicit HungDisk(std::string path, Requests requests = Requests::read);
  ~HungDisk();  // all that waits has ENOENT
  HungDisk(const HungDisk&) = delete;
  HungDisk& operator=(const HungDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& path() const { return path_; }
  // Until so many look for a name, which they are then held by. With Requests::unread nobody can know.
  bool wait_held(std::size_t count, int timeout_ms = 20'000);
  // It answers again, and says that there is nothing.
  void answer();

 private:
  void serve();
  void take_one(std::vector<char>& request);
  void deny(std::uint64_t request, int error) const;

  std::string path_;
  Requests requests_;
  bool mounted_ = false;
  os::Fd device_, wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> held_;
  bool answers_ = false, over_ = false, begun_ = false;
  std::thread server_;
};

}  // namespace hearth::support
