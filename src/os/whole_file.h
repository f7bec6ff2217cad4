// A file that is there with all of its content or not at all: whoever is killed, however full the disk is.
//
// It has no name while it is written (O_TMPFILE of open(2)), so that a death leaves nothing of it; once it is on the disk
// it is given its name by linkat(2), which takes nobody's place. A file system that has no such files (NFS, FUSE), and a
// file that shall replace another, take a way by a file beside: PATH.XXXXXX, renamed when it is whole. A death leaves that
// one behind, and never half of PATH.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/result.h"
#include "os/fd.h"

namespace hearth::os {

enum class OldFile { stays, is_replaced };

class WholeFile {
 public:
  // `mode` as of open(2): less the umask.
  static Result<WholeFile> create(std::string path, mode_t mode, OldFile old);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;
  ~WholeFile();  // nothing is left of one that was not put in place

  int descriptor() const { return fd_.get(); }
  // Writes, and waits for the disk.
  Status write(std::string_view text);
  // `conflict` when something of that name is there and stays.
  Status put_in_place();

 private:
  WholeFile(std::string path, OldFile old) : path_(std::move(path)), old_(old) {}

  Fd fd_;
  std::string path_;
  std::string beside_;  // "" = it has no name
  OldFile old_;
};

// All three steps.
Status write_whole(const std::string& path, std::string_view text, mode_t mode, OldFile old);

// Whatever has come under the new name meanwhile stays. For file systems too that do not know that kind of rename (NFS);
// there a death may leave both names. False: errno.
bool rename_unless_there(int directory, const char* from, const char* to);

}  // namespace hearth::os
