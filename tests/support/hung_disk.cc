#include "support/hung_disk.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hearth::support {
namespace {

constexpr std::size_t request_bytes = 256 * 1024;

template <typename Body>
void reply(int device, std::uint64_t request, const Body& body) {
  struct {
    fuse_out_header head;
    Body body;
  } answer = {{sizeof(fuse_out_header) + sizeof(Body), 0, request}, body};
  static_assert(sizeof answer == sizeof(fuse_out_header) + sizeof(Body));
  (void)!::write(device, &answer, sizeof answer);
}

}  // namespace

HungDisk::HungDisk(std::string path, Requests requests) : path_(std::move(path)), requests_(requests) {
  ::mkdir(path_.c_str(), 0755);
  device_ = os::Fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  wake_ = os::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!device_ || !wake_) return;
  const std::string options =
      "fd=" + std::to_string(device_.get()) + ",rootmode=40755,user_id=0,group_id=0,allow_other";
  mounted_ = ::mount("hearth-test", path_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
  if (mounted_) server_ = std::thread([this] { serve(); });
}

HungDisk::~HungDisk() {
  if (!mounted_) return;
  answer();
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  (void)!::write(wake_.get(), "\1\0\0\0\0\0\0", 8);
  server_.join();
  ::umount2(path_.c_str(), MNT_DETACH);
  // With the device goes the connection, and who still waits has an error.
}

bool HungDisk::wait_held(std::size_t count, int timeout_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return held_.size() >= count; });
}

void HungDisk::answer() {
  const std::lock_guard lock(mutex_);
  answers_ = true;
  for (const std::uint64_t request : std::exchange(held_, {})) deny(request, ENOENT);
  (void)!::write(wake_.get(), "\1\0\0\0\0\0\0", 8);
}

void HungDisk::deny(std::uint64_t request, int error) const {
  const fuse_out_header head = {sizeof head, -error, request};
  (void)!::write(device_.get(), &head, sizeof head);
}

void HungDisk::serve() {
  std::vector<char> request(request_bytes);
  for (;;) {
    bool deaf = false;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      deaf = requests_ == Requests::unread && begun_ && !answers_;
    }
    pollfd both[2] = {{deaf ? -1 : device_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    ::poll(both, 2, -1);
    std::uint64_t count = 0;
    if (both[1].revents != 0) (void)!::read(wake_.get(), &count, sizeof count);
    if (both[0].revents != 0) take_one(request);
  }
}

void HungDisk::take_one(std::vector<char>& request) {
  const ssize_t got = ::read(device_.get(), request.data(), request.size());
  fuse_in_header head{};
  if (got < static_cast<ssize_t>(sizeof head)) return;
  std::memcpy(&head, request.data(), sizeof head);
  const std::lock_guard lock(mutex_);
  switch (head.opcode) {
    case FUSE_INIT: {
      fuse_init_out init{};
      init.major = FUSE_KERNEL_VERSION;
      init.minor = FUSE_KERNEL_MINOR_VERSION;
      init.max_write = 4096;
      reply(device_.get(), head.unique, init);
      begun_ = true;
      break;
    }
    case FUSE_GETATTR: {
      fuse_attr_out out{};
      out.attr.ino = 1;
      out.attr.mode = S_IFDIR | 0755;
      out.attr.nlink = 2;
      out.attr_valid = 3600;
      reply(device_.get(), head.unique, out);
      break;
    }
    case FUSE_LOOKUP:
      if (answers_) {
        deny(head.unique, ENOENT);
      } else {
        held_.push_back(head.unique);
        changed_.notify_all();
      }
      break;
    case FUSE_INTERRUPT:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: break;  // no answer is due
    default: deny(head.unique, ENOSYS); break;
  }
}

}  // namespace hearth::support
