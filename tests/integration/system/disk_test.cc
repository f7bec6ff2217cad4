// A disk that is full or does not answer, under DIR/spec and DIR/runs.json.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "instance.h"

namespace hearth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Disk : Machine {
  std::string spec(const std::string& name) const { return directory + "/spec/" + name; }
  std::string changed() const { return "[service.web]\nstop_timeout = \"9s\"\n" + puppet(); }
};

TEST_F(Disk, what_cannot_be_written_refuses_nothing_is_told_and_outlives_all_of_hearth) {
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  std::filesystem::create_directory(spec("2.json"));  // what no rename replaces
  project(changed());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return status().notes_text().find("cannot write " + spec("2.json")) != std::string::npos; }));
  EXPECT_THAT(status().notes_text(), HasSubstr("a reboot"));

  // Its document is in memory only.
  kill_everything();
  std::filesystem::remove(spec("2.json"));
  ASSERT_EQ(0, hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"}).code);
  EXPECT_EQ("other", stage->enter().label);
  EXPECT_EQ(web.pid, service().pid);
  EXPECT_TRUE(until([&] { return exists(spec("2.json")) && exists(spec("3.json")) && !exists(spec("1.json")); }));
  EXPECT_THAT(status().notes_text(), Not(HasSubstr("cannot write")));
  expect_clean_shutdown();
}

TEST_F(Disk, what_does_not_return_holds_up_neither_orders_nor_services_nor_the_end) {
  project("[service.web]\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  (void)stage->enter();
  // Opening a FIFO for writing waits for a reader, as a write waits for a file server that is away.
  ASSERT_EQ(0, ::mkfifo(spec("2.json.new").c_str(), 0600));
  project(changed());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  web.order("exit 1");
  const Actor next = stage->enter();
  EXPECT_TRUE(until([&] { return service().pid == next.pid; }));  // who speaks first is no matter
  EXPECT_TRUE(until([&] { return status().notes_text().find("the disk hangs") != std::string::npos; }));
  kill_members("hearth-supervisor", SIGKILL);
  EXPECT_TRUE(until([&] { return status().takeovers == 1; }));
  EXPECT_EQ(next.pid, service().pid);
  ASSERT_EQ(0, hearth({"stop", "web"}).code);
  EXPECT_EQ("stopped", service().state);

  const Output ended = hearth({"shutdown"});
  EXPECT_EQ(0, ended.code) << ended.all();
  EXPECT_TRUE(exists(directory + "/state/decision-page")) << "runs.json may say that it was to be kept up";
  std::filesystem::remove(spec("2.json.new"));
  project("[service.web]\n" + puppet());
  const Output again = up();
  EXPECT_EQ(0, again.code) << again.all();
  EXPECT_EQ(stage->enter().pid, service().pid);
  expect_clean_shutdown();
}

// The instance directory on a small tmpfs that is full: DIR/state has no room there either, and is in memory.
struct FullDisk : Machine {
  explicit FullDisk(const char* size = "size=256k,mode=0711") {
    if (!root()) return;
    directory = base + "/full";
    ::mkdir(directory.c_str(), 0711);
    mounted_ = ::mount("none", directory.c_str(), "tmpfs", 0, size) == 0;
  }
  ~FullDisk() override {
    if (!mounted_) return;
    if (exists(directory + "/api.sock")) (void)hearth({"shutdown"});
    ::umount2(directory.c_str(), MNT_DETACH);
  }
  void fill() {
    const os::Fd fd(::open((directory + "/ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(4096, 'b');
    while (::write(fd.get(), block.data(), block.size()) > 0) {
    }
  }
  void make_room() { ASSERT_EQ(0, ::unlink((directory + "/ballast").c_str())); }
  bool told(const char* words) { return status().notes_text().find(words) != std::string::npos; }
  bool mounted_ = false;
};

TEST_F(FullDisk, services_run_new_work_is_taken_and_status_says_what_is_not_on_disk) {
  if (!mounted_) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  project("[service.web]\nrestart = \"always\"\nbackoff = { initial = 0 }\n" + puppet());
  ASSERT_EQ(0, up().code);
  Actor web = stage->enter();
  fill();
  EXPECT_TRUE(web.alive());
  ASSERT_EQ(0, hearth({"run", "--name", "other", "--", bin("hearth-test-puppet"), stage->path(), "other"}).code);
  const Actor other = stage->enter();
  EXPECT_EQ("other", other.label);
  EXPECT_TRUE(until([&] { return told("cannot write"); })) << status().notes_text();
  // What it writes waits, and whoever asks is told.
  ASSERT_EQ(0, hearth({"run", "--name", "talker", "--", "sh", "-c", "echo hello; exec sleep 1000"}).code);
  const auto explained = [&](const char* words) {
    return hearth({"explain", "talker"}).out.find(words) != std::string::npos;
  };
  EXPECT_TRUE(until([&] { return explained("its log waits: No space left on device\n"); }))
      << hearth({"explain", "talker"}).all();
  // Supervision needs no disk: the crash is seen and the restart comes.
  web.order("exit 3");
  EXPECT_TRUE(web.wait_end());
  const Actor next = stage->enter();
  EXPECT_TRUE(next.alive());
  make_room();
  EXPECT_TRUE(until([&] { return !told("cannot write"); })) << status().notes_text();
  EXPECT_TRUE(exists(directory + "/spec/2.json"));
  EXPECT_TRUE(other.alive());
  EXPECT_TRUE(until([&] { return !explained("its log waits"); }));
}

TEST_F(FullDisk, a_first_start_goes_on_in_memory_and_says_so) {
  if (!mounted_) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  fill();
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  EXPECT_TRUE(until([&] { return told("cannot write"); })) << status().notes_text();
  make_room();
  EXPECT_TRUE(until([&] { return exists(directory + "/spec/1.json") && exists(directory + "/runs.json"); }));
  EXPECT_TRUE(web.alive());
}

// One that has room, and no inode: ext4 that was made for large files, a quota of files.
struct DiskWithoutInodes : FullDisk {
  DiskWithoutInodes() : FullDisk("size=16m,nr_inodes=200,mode=0711") {}
  std::string filler(int number) const { return directory + "/filler." + std::to_string(number); }
  void fill() {
    while (os::Fd(::open(filler(fillers_).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600))) ++fillers_;
    ASSERT_EQ(ENOSPC, errno);
  }
  void make_room() {
    while (fillers_ > 0) EXPECT_EQ(0, ::unlink(filler(--fillers_).c_str()));
  }
  // Of one that does not answer.
  static pid_t supervisor_of(pid_t keeper) {
    const std::string proc = "/proc/" + std::to_string(keeper) + "/task/" + std::to_string(keeper) + "/children";
    std::ifstream children(proc);
    std::error_code error;
    for (pid_t pid; children >> pid;)
      if (std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).filename() ==
          "hearth-supervisor")
        return pid;
    return 0;
  }
  int fillers_ = 0;
};

TEST_F(DiskWithoutInodes, the_supervisor_that_comes_next_answers) {
  if (!mounted_) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  fill();
  kill_members("hearth-supervisor", SIGKILL);
  const Output stopped = hearth({"stop", "web"});
  EXPECT_EQ(0, stopped.code) << stopped.all();
  EXPECT_EQ("stopped", service().state);
  make_room();
}

TEST_F(DiskWithoutInodes, a_supervisor_for_whose_sockets_there_is_no_room_lives_and_answers_when_there_is) {
  if (!mounted_) GTEST_SKIP() << "a small tmpfs cannot be mounted here";
  project("[service.web]\n" + puppet());
  ASSERT_EQ(0, up().code);
  const Actor web = stage->enter();
  const pid_t keeper_pid = status().keeper;
  // Whoever has them open keeps their inodes.
  const os::Fd api(::open((directory + "/api.sock").c_str(), O_PATH | O_CLOEXEC));
  const os::Fd keeper(::open((directory + "/keeper.sock").c_str(), O_PATH | O_CLOEXEC));
  ASSERT_TRUE(api && keeper);
  fill();
  kill_members("hearth-supervisor", SIGKILL);
  ASSERT_TRUE(until([&] { return !exists(directory + "/api.sock"); }));
  const pid_t supervisor = supervisor_of(keeper_pid);
  ASSERT_GT(supervisor, 0);
  make_room();
  EXPECT_TRUE(until([&] { return status().answered; }));
  EXPECT_EQ(supervisor, status().supervisor) << "it ended, and its successor answers";
  EXPECT_TRUE(until([&] { return exists(directory + "/keeper.sock") && !told("hearth is not found"); }));
  EXPECT_EQ(web.pid, service().pid);
}

}  // namespace
}  // namespace hearth::test
