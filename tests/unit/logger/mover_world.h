// What outlives a logger, made for one test: page, buffer, in-flight pipe, FIFOs, log directory. And a System
// that dies, fails or cuts short where it is told to, on top of the real one.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "logger/mover.h"
#include "logger/system.h"
#include "os/fd.h"
#include "wire/log_page.h"

namespace hearth::logger::test {

// Stands for SIGKILL: unwinds the mover, as the kernel would take the process away.
struct Died {};

class FaultySystem : public System {
 public:
  std::uint64_t points = 0;           // passed so far
  std::uint64_t die_at = 0;           // 0 = live
  bool full = false;                  // no space can be reserved
  bool no_reserve = false;            // a file system without fallocate
  int write_error = 0;                // errno of every pwrite
  bool claimed = false;               // every file, by another logger
  SpanNs released_after = INT64_MAX;  // that long
  bool may_widen = true;
  int widened = 0;  // how many times that was tried
  std::size_t longest_write = SIZE_MAX;
  MonoNs now = seconds(1'000);
  WallNs wall = 1'700'000'000'123'456'789;

  void point() {
    ++points;
    if (points == die_at) throw Died{};
  }
  template <typename Call>
  std::int64_t at(Call call) {
    point();
    std::int64_t result = call();
    point();
    return result;
  }

  std::int64_t splice(int from, int to, size_t size) override {
    return at([&] { return System::splice(from, to, size); });
  }
  // In two parts, with a place to die between them.
  std::int64_t read(int fd, void* data, size_t size) override {
    return at([&]() -> std::int64_t {
      std::int64_t first = System::read(fd, data, (size + 1) / 2);
      point();
      return first;
    });
  }
  std::int64_t widen(int fd, size_t size) override {
    ++widened;
    return may_widen ? System::widen(fd, size) : -EPERM;
  }
  std::int64_t pwrite(int fd, const void* data, size_t size, std::uint64_t offset) override {
    if (write_error != 0) return -write_error;
    return at([&]() -> std::int64_t {
      size_t part = std::min(longest_write, (size + 1) / 2);
      std::int64_t first = System::pwrite(fd, data, part, offset);
      point();
      return first;
    });
  }
  std::int64_t truncate(int fd, std::uint64_t size) override {
    return at([&] { return System::truncate(fd, size); });
  }
  std::int64_t reserve(int fd, std::uint64_t offset, std::uint64_t size) override {
    if (no_reserve) return -EOPNOTSUPP;
    if (full) return -ENOSPC;
    return at([&] { return System::reserve(fd, offset, size); });
  }
  std::int64_t free_bytes(int fd) override { return full ? 0 : System::free_bytes(fd); }
  std::int64_t open(int directory, const char* name, int flags, mode_t mode) override {
    // A descriptor must not outlive the death: nobody would close it.
    point();
    std::int64_t fd = System::open(directory, name, flags, mode);
    if (points + 1 == die_at && fd >= 0) close(static_cast<int>(fd));
    point();
    return fd;
  }
  std::int64_t make_directory(int directory, const char* name) override {
    return at([&] { return System::make_directory(directory, name); });
  }
  std::int64_t remove(int directory, const char* name) override {
    return at([&] { return System::remove(directory, name); });
  }
  std::int64_t link_to(int directory, const char* target, const char* name) override {
    return at([&] { return System::link_to(directory, target, name); });
  }
  std::int64_t rename(int directory, const char* from, const char* to) override {
    return at([&] { return System::rename(directory, from, to); });
  }
  std::int64_t claim(int fd) override {
    return at([&] { return claimed ? -EWOULDBLOCK : System::claim(fd); });
  }
  void nap(SpanNs span) override {
    now += span;
    released_after -= std::min(span, released_after);
    if (released_after == 0) claimed = false;
  }
  MonoNs mono_ns() override { return now; }
  WallNs wall_ns() override { return wall; }
  void before_store() override { point(); }
};

class World {
 public:
  World() {
    // In memory where that can be had: thousands of worlds are made.
    std::filesystem::path memory = "/dev/shm";
    bool usable = access(memory.c_str(), W_OK) == 0;
    std::string pattern = ((usable ? memory : std::filesystem::temp_directory_path()) / "hearth-mover-XXXXXX").string();
    HEARTH_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    path_ = pattern;
    directory_.reset(open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    page_ = map<wire::LogPage>();
    wire::log_page_init(*page_);
    buffer_ = map<Buffer>();
    make_pipe(pipe_read_, pipe_write_);
  }
  ~World() {
    munmap(page_, sizeof *page_);
    munmap(buffer_, sizeof *buffer_);
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  wire::LogPage& page() { return *page_; }
  wire::LogStream& stream(SlotIndex slot = 0) { return page_->stream[slot]; }
  std::string path(const std::string& name = {}) const { return name.empty() ? path_ : path_ + "/" + name; }

  void configure(SlotIndex slot, std::string_view directory, wire::LogFormat format, std::uint64_t max_size,
                 std::uint32_t max_files = 1000) {
    wire::LogStream& s = stream(slot);
    snprintf(s.directory, sizeof s.directory, "%.*s", static_cast<int>(directory.size()), directory.data());
    s.format = format;
    s.max_size = max_size;
    s.max_files = max_files;
    s.full_wait_ns = seconds(5);
    s.uid = s.gid = UINT32_MAX;
  }

  MoverParts parts() const {
    return {.page = page_,
            .buffer = buffer_->bytes,
            .pipe_read = pipe_read_.get(),
            .pipe_write = pipe_write_.get(),
            .pipe_bytes = 65'536,
            .log_directory = directory_.get()};
  }

  // The FIFO of a run; made at first use.
  int fifo(RunId run) { return fifo_of(run).read.get(); }
  void feed(RunId run, std::string_view bytes) {
    HEARTH_CHECK(write(fifo_of(run).write.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
                 "the FIFO is full");
  }
  void close_writer(RunId run) { fifo_of(run).write.reset(); }
  os::Fd take_reader(RunId run) { return std::move(fifo_of(run).read); }

  // File name -> content, of one stream's directory.
  std::map<std::string, std::string> files(const std::string& directory) const {
    std::map<std::string, std::string> found;
    if (!std::filesystem::exists(path(directory))) return found;
    for (const auto& entry : std::filesystem::directory_iterator(path(directory))) {
      if (entry.path().extension() != ".log") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      found[entry.path().filename()] = {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }
    return found;
  }
  std::string all(const std::string& directory) const {
    std::string text;
    for (const auto& [name, content] : files(directory)) text += content;
    return text;
  }
  std::string current(const std::string& directory) const {
    return std::filesystem::read_symlink(path(directory) + "/current");
  }

 private:
  struct Buffer {
    char bytes[wire::log_buffer_bytes];
  };
  struct Fifo {
    os::Fd read, write;
  };
  template <typename T>
  static T* map() {
    void* at = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    HEARTH_CHECK(at != MAP_FAILED, "mmap");
    return static_cast<T*>(at);
  }
  static void make_pipe(os::Fd& read, os::Fd& write) {
    int ends[2];
    HEARTH_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  Fifo& fifo_of(RunId run) {
    auto [at, fresh] = fifos_.try_emplace(run);
    if (fresh) make_pipe(at->second.read, at->second.write);
    return at->second;
  }

  std::string path_;
  os::Fd directory_, pipe_read_, pipe_write_;
  wire::LogPage* page_ = nullptr;
  Buffer* buffer_ = nullptr;
  std::map<RunId, Fifo> fifos_;
};

}  // namespace hearth::logger::test
