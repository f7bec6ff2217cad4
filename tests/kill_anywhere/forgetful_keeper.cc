// A planted fault: a keeper that says in its dry run that it can go on, goes on, and has mixed up what is parked: in the
// place of a service's stored descriptor it has another file. The next supervisor gets that; the one that was there has its own.
// Linked with --wrap=prctl, as to name itself is the first thing that it does after its exec. hearth-kill-anywhere must
// notice (--next-keeper).
#include <cstdarg>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

void forget_stored_descriptors() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) {
    constexpr char stored[] = "stored-as-cache";
    char bytes[sizeof stored - 1];
    const bool is_it = pread(fd, bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes) &&
                       std::memcmp(bytes, stored, sizeof bytes) == 0;
    if (is_it) dup3(null, fd, O_CLOEXEC);
  }
  close(null);
}

}  // namespace

extern "C" int __real_prctl(int option, ...);

extern "C" int __wrap_prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long arguments[4];
  for (unsigned long& argument : arguments) argument = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_NAME && std::strcmp(reinterpret_cast<const char*>(arguments[0]), "hearth-keeper") == 0)
    forget_stored_descriptors();
  return __real_prctl(option, arguments[0], arguments[1], arguments[2], arguments[3]);
}
