#include "logger/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace hearth::logger {
namespace {

constexpr uint32_t keep_owner = UINT32_MAX;

struct Ending {
  FileKind kind;
  const char* text;
};
constexpr Ending endings[] = {{FileKind::log, ".log"},
                              {FileKind::index, ".idx"},
                              {FileKind::compressed, ".log.zst"},
                              {FileKind::unfinished, ".tmp"}};

FileName numbered(uint64_t number, const char* ending) {
  FileName name;
  snprintf(name.text, sizeof name.text, "%08llu%s", static_cast<unsigned long long>(number), ending);
  return name;
}

bool sets_owner(const wire::LogStream& stream) {
  return stream.uid != keep_owner || stream.gid != keep_owner;
}

}  // namespace

FileName file_name(uint64_t number) {
  return numbered(number, endings[0].text);
}
FileName index_name(uint64_t number) {
  return numbered(number, endings[1].text);
}
FileName compressed_name(uint64_t number) {
  return numbered(number, endings[2].text);
}
FileName unfinished_name(uint64_t number) {
  return numbered(number, endings[3].text);
}

bool parse_name(const char* name, NumberedFile& out) {
  uint64_t number = 0;
  int digits = 0;
  for (; *name >= '0' && *name <= '9'; ++name, ++digits) {
    if (digits == 15) return false;
    number = number * 10 + static_cast<uint64_t>(*name - '0');
  }
  if (digits < 8 || number == 0) return false;
  for (const Ending& ending : endings) {
    if (strcmp(name, ending.text) != 0) continue;
    out.number = number;
    out.kind = ending.kind;
    return true;
  }
  return false;
}

bool directory_name_valid(const char (&name)[128]) {
  if (memchr(name, '\0', sizeof name) == nullptr || name[0] == '\0') return false;
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
  return strchr(name, '/') == nullptr;
}

int64_t open_directory(System& system, int log_directory, const wire::LogStream& stream) {
  if (!directory_name_valid(stream.directory)) return -EINVAL;
  int64_t fd = system.open(log_directory, stream.directory, O_RDONLY | O_DIRECTORY, 0);
  if (fd != -ENOENT) return fd;
  int64_t made = system.make_directory(log_directory, stream.directory);
  if (made < 0 && made != -EEXIST) return made;
  fd = system.open(log_directory, stream.directory, O_RDONLY | O_DIRECTORY, 0);
  if (fd >= 0 && made == 0 && sets_owner(stream)) {
    int64_t owned = system.change_owner(static_cast<int>(fd), stream.uid, stream.gid);
    if (owned < 0) {
      close(static_cast<int>(fd));
      return owned;
    }
  }
  return fd;
}

int64_t create_named(System& system, int directory, const char* name, const wire::LogStream& stream) {
  constexpr int flags = O_RDWR | O_CREAT | O_EXCL;
  int64_t fd = system.open(directory, name, flags, 0600);
  if (fd == -EEXIST) {
    int64_t removed = system.remove(directory, name);
    if (removed < 0) return removed;
    fd = system.open(directory, name, flags, 0600);
  }
  if (fd >= 0 && sets_owner(stream)) {
    int64_t owned = system.change_owner(static_cast<int>(fd), stream.uid, stream.gid);
    if (owned < 0) {
      close(static_cast<int>(fd));
      return owned;
    }
  }
  return fd;
}

int64_t open_named(System& system, int directory, const char* name, const wire::LogStream& stream) {
  // O_NONBLOCK: a FIFO of that name must not hold us.
  int64_t fd = system.open(directory, name, O_RDWR | O_NONBLOCK, 0);
  if (fd == -ELOOP || fd == -EISDIR) return -ENOENT;
  if (fd < 0) return fd;
  struct stat info{};
  int64_t known = system.stat(static_cast<int>(fd), info);
  uint32_t owner = stream.uid == keep_owner ? geteuid() : stream.uid;
  bool ours =
      known >= 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 && (info.st_uid == owner || info.st_uid == geteuid());
  if (ours) return fd;
  close(static_cast<int>(fd));
  return known < 0 ? known : -ENOENT;
}

// A file that is written is claimed, for whoever else might think of going on in it (Mover::first_file).
int64_t create_file(System& system, int directory, uint64_t number, const wire::LogStream& stream) {
  system.remove(directory, index_name(number).text);
  int64_t fd = create_named(system, directory, file_name(number).text, stream);
  if (fd >= 0) system.claim(static_cast<int>(fd));
  return fd;
}

int64_t open_file(System& system, int directory, uint64_t number, const wire::LogStream& stream) {
  int64_t fd = open_named(system, directory, file_name(number).text, stream);
  if (fd >= 0) system.claim(static_cast<int>(fd));
  return fd;
}

int64_t remove_file(System& system, int directory, uint64_t number) {
  system.remove(directory, index_name(number).text);
  // Both may stand, when who compressed was killed between the two.
  int64_t plain = system.remove(directory, file_name(number).text);
  int64_t compressed = system.remove(directory, compressed_name(number).text);
  return plain == -ENOENT ? compressed : plain;
}

void point_current(System& system, int directory, uint64_t number) {
  FileName name = file_name(number);
  constexpr const char* fresh = "current.new";
  int64_t made = system.link_to(directory, name.text, fresh);
  if (made == -EEXIST && system.remove(directory, fresh) == 0) made = system.link_to(directory, name.text, fresh);
  if (made == 0) system.rename(directory, fresh, "current");
}

void link_run(System& system, int log_directory, const wire::LogStream& stream, int32_t pid, uint64_t number) {
  if (!directory_name_valid(stream.directory)) return;
  const char* first = strchr(stream.directory, '.');
  const char* service = first != nullptr ? first + 1 : stream.directory;
  auto size = static_cast<int>(strcspn(service, "."));
  char prefix[144], name[176], target[192];
  snprintf(prefix, sizeof prefix, "%.*s_", size, service);
  system.remove_dangling(log_directory, prefix);
  snprintf(name, sizeof name, "%s%d.log", prefix, pid);
  snprintf(target, sizeof target, "%s/%s", stream.directory, file_name(number).text);
  constexpr const char* fresh = ".link.new";
  int64_t made = system.link_to(log_directory, target, fresh);
  if (made == -EEXIST && system.remove(log_directory, fresh) == 0) made = system.link_to(log_directory, target, fresh);
  if (made == 0) system.rename(log_directory, fresh, name);
}

int64_t remove_from(System& system, int directory, uint64_t first) {
  uint64_t end = first;
  while (system.exists(directory, file_name(end).text)) ++end;
  int64_t worst = 0;
  while (end > first) {
    int64_t removed = remove_file(system, directory, --end);
    if (removed < 0 && removed != -ENOENT) worst = removed;
  }
  return worst;
}

}  // namespace hearth::logger
