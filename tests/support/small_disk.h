// A small file system in memory, mounted over a directory while it lives. False where nothing may be mounted.
#pragma once

#include <string>
#include <sys/mount.h>

namespace hearth::support {

class SmallDisk {
 public:
  // `options` as of tmpfs(5): "size=1m,mode=700".
  SmallDisk(const std::string& path, const char* options)
      : path_(path), mounted_(::mount("none", path.c_str(), "tmpfs", 0, options) == 0) {}
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  explicit operator bool() const { return mounted_; }

  bool resize(const char* options) const { return ::mount("none", path_.c_str(), "tmpfs", MS_REMOUNT, options) == 0; }

 private:
  std::string path_;
  bool mounted_;
};

}  // namespace hearth::support
