#include "store/heritage.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include "os/proc_stat.h"
#include "store/run_list.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/temp_directory.h"

namespace hearth::store {
namespace {

// A service as a spawner would have started it. Ends with the test.
class Service {
 public:
  Service(const std::string& directory, RunId run, const std::string& label) {
    int ready[2];
    if (::pipe(ready) < 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setsid();
      const std::string texts[] = {"HEARTH_INSTANCE=" + directory, "HEARTH_RUN=" + std::to_string(run),
                                   "HEARTH_SLOT=" + label};
      const char* environment[] = {texts[0].c_str(), texts[1].c_str(), texts[2].c_str(), nullptr};
      const char* arguments[] = {"/bin/sh", "-c", "echo; read x", nullptr};
      ::dup2(ready[1], 1);
      ::close(0);
      int never[2];
      if (::pipe(never) < 0) ::_exit(1);
      ::execve("/bin/sh", const_cast<char**>(arguments), const_cast<char**>(environment));
      ::_exit(1);
    }
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(1, ::read(ready[0], &byte, 1));  // it has executed: its environment is there
    ::close(ready[0]);
  }
  ~Service() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  std::uint64_t ticks() const { return os::start_ticks(pid_); }

 private:
  pid_t pid_ = 0;
};

Result<Document> shop_document(std::string_view text) {
  if (text != "shop") return failure(Remedy::fix_input, "read", "document", "it is none");
  Document document;
  document.version = 4;
  document.project = "shop";
  ServiceSpec web;
  web.name = "web";
  document.services = {ServiceSpec{}, web};
  return document;
}

class Closed {
 public:
  explicit Closed(std::string path) : path_(std::move(path)) {
    struct stat st{};
    ::stat(path_.c_str(), &st);
    mode_ = st.st_mode & 07777;
    ::chmod(path_.c_str(), 0);
  }
  ~Closed() { ::chmod(path_.c_str(), mode_); }
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;

 private:
  std::string path_;
  mode_t mode_ = 0;
};

struct HeritageTest : ::testing::Test {
  test::TempDirectory directory;
  RunList list{os::boot_id(), os::pid_namespace(), directory.path(), 20, {}};

  HeritageTest() {
    ::mkdir((directory / "spec").c_str(), 0755);
    std::ofstream(directory / "spec/4.json") << "shop";
  }
  // By somebody who may not read what is closed, as root may.
  Result<ports::Heritage> read_as_somebody() {
    ::chmod(directory.path().c_str(), 0755);
    Result<ports::Heritage> heritage;
    std::thread([&] {
      // Of this thread alone, as setresuid(3) is not.
      if (::geteuid() == 0) ::syscall(SYS_setresuid, 65534, 65534, 65534);
      heritage = read_heritage(directory.path(), shop_document);
    }).join();
    return heritage;
  }
  ports::Heritage read() {
    std::ofstream(directory / "runs.json") << run_list_text(list);
    Result<ports::Heritage> heritage = read_heritage(directory.path(), shop_document);
    EXPECT_TRUE(heritage);
    return *heritage;
  }
  void note(RunId run, pid_t pid, std::uint64_t ticks, const std::string& label = "shop.web.0") {
    ports::RunNote note;
    note.label = label;
    note.document = 4;
    note.service = 1;
    note.run = run;
    note.pid = pid;
    note.start_ticks = ticks;
    list.runs.push_back(note);
  }
};

TEST_F(HeritageTest, a_noted_run_whose_process_is_the_same_lives) {
  Service service(directory.path(), 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  const ports::Heritage heritage = read();
  ASSERT_EQ(1u, heritage.runs.size());
  EXPECT_EQ(9u, heritage.runs[0].run);
  EXPECT_EQ(19u, heritage.greatest_run);
  EXPECT_EQ(1u, heritage.documents.size());
  EXPECT_TRUE(heritage.losses.empty());
}

TEST_F(HeritageTest, whoever_is_short_of_descriptors_does_not_take_what_it_cannot_see_for_gone) {
  HEARTH_SKIP_IF_SANITIZED();
  const Service service(directory.path(), 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  std::ofstream(directory / "runs.json") << run_list_text(list);
  for (int few = 0; few < 8; ++few) {
    const test::FewDescriptors left(few);
    const Result<ports::Heritage> heritage = read_heritage(directory.path(), shop_document);
    ASSERT_FALSE(heritage) << few;
    EXPECT_EQ(EMFILE, heritage.error().code) << heritage.error().text();
  }
  EXPECT_FALSE(std::filesystem::exists(directory / "spec/4.json.put-aside"));
  EXPECT_EQ(1u, read().runs.size());
}

TEST_F(HeritageTest, what_nobody_can_read_now_ends_the_start_and_changes_nothing) {
  const Service service(directory.path(), 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  ::mkdir((directory / "o").c_str(), 0755);
  EXPECT_EQ(1u, read().runs.size());
  for (const char* name : {"runs.json", "spec", "spec/4.json", "o"}) {
    const Closed closed(directory / name);
    const Result<ports::Heritage> heritage = read_as_somebody();
    ASSERT_FALSE(heritage) << name;
    EXPECT_EQ(EACCES, heritage.error().code) << heritage.error().text();
    EXPECT_NE(std::string::npos, heritage.error().text().find(directory / name)) << heritage.error().text();
  }
  EXPECT_FALSE(std::filesystem::exists(directory / "spec/4.json.put-aside"));
  EXPECT_EQ(1u, read_as_somebody()->runs.size());
}

// Of a list that has the boot nobody can tell then whose PIDs it has.
TEST_F(HeritageTest, a_boot_that_is_closed_to_us_as_to_who_wrote_the_list_ends_no_start) {
  const Service service(directory.path(), 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  const std::string closed = directory / "closed";
  std::ofstream{closed};
  ::chmod(closed.c_str(), 0);
  const auto runs_found = [&](const std::string& boot) {
    list.boot_id = boot;
    std::ofstream(directory / "runs.json") << run_list_text(list);
    const pid_t child = ::fork();
    if (child == 0) {
      const bool masked = ::unshare(CLONE_NEWNS) == 0 &&
                          ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                          ::mount(closed.c_str(), "/proc/sys/kernel/random/boot_id", nullptr, MS_BIND, nullptr) == 0;
      if (!masked) ::_exit(100);
      const Result<ports::Heritage> heritage = read_as_somebody();
      ::_exit(heritage ? static_cast<int>(heritage->runs.size()) : heritage.error().code == EACCES ? 101 : 102);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  const int found = runs_found("");
  if (found == 100) GTEST_SKIP() << "/proc cannot be masked here";
  EXPECT_EQ(1, found);
  EXPECT_EQ(101, runs_found(os::boot_id()));
}

// Its copy in DIR/spec may not be there yet, or not any more.
TEST_F(HeritageTest, a_document_in_DIR_state_that_nobody_can_read_now_is_not_taken_for_lost) {
  ::mkdir((directory / "state").c_str(), 0755);
  std::filesystem::rename(directory / "spec/4.json", directory / "state/document-4");
  note(9, 1, 1);
  EXPECT_EQ(1u, read().documents.size());
  {
    const Closed closed(directory / "state/document-4");
    const Result<ports::Heritage> heritage = read_as_somebody();
    ASSERT_FALSE(heritage);
    EXPECT_EQ(EACCES, heritage.error().code) << heritage.error().text();
  }
  EXPECT_EQ(1u, read_as_somebody()->documents.size());
}

TEST_F(HeritageTest, a_DIR_state_that_is_closed_to_us_is_a_loss_and_no_failure) {
  ::mkdir((directory / "state").c_str(), 0755);
  note(9, 1, 1);
  EXPECT_TRUE(read().losses.empty());
  const Closed closed(directory / "state");
  const Result<ports::Heritage> heritage = read_as_somebody();
  ASSERT_TRUE(heritage) << heritage.error().text();
  EXPECT_EQ(1u, heritage->losses.size());
  EXPECT_EQ(1u, heritage->documents.size());
}

TEST_F(HeritageTest, behind_a_list_that_is_torn_documents_that_nothing_else_names_stay) {
  std::ofstream(directory / "spec/7.json") << "of a service behind the tear";
  note(9, 1, 1);
  note(10, 1, 1, "other.db.0");
  list.runs[1].document = 7;
  const std::string text = run_list_text(list);
  std::ofstream(directory / "runs.json") << text.substr(0, text.size() - 20);
  const Result<ports::Heritage> heritage = read_heritage(directory.path(), shop_document);
  ASSERT_TRUE(heritage) << heritage.error().text();
  ASSERT_EQ(1u, heritage->gone.size());
  EXPECT_EQ(1u, heritage->documents.size());
  ASSERT_EQ(1u, heritage->losses.size());
  EXPECT_NE(std::string::npos, heritage->losses[0].find("torn: it has 1 run")) << heritage->losses[0];
  EXPECT_NE(std::string::npos, heritage->losses[0].find("1 document ")) << heritage->losses[0];
  EXPECT_TRUE(std::filesystem::exists(directory / "spec/4.json"));
  EXPECT_TRUE(std::filesystem::exists(directory / "spec/7.json.put-aside"));
}

TEST_F(HeritageTest, a_run_whose_document_was_replaced_after_the_last_write_follows_the_new_one) {
  const Service service(directory.path(), 19, "shop.web.0");
  note(19, service.pid(), service.ticks());
  list.runs[0].document = 3;
  list.runs[0].service = 0;
  const ports::Heritage heritage = read();
  ASSERT_EQ(1u, heritage.runs.size());
  EXPECT_EQ(4u, heritage.runs[0].document);
  EXPECT_EQ(1u, heritage.runs[0].service);
}

TEST_F(HeritageTest, only_who_has_ended_in_order_says_which_event_was_the_last) {
  EXPECT_EQ(no_event, read().last_event);
  list.last_event = 7;
  EXPECT_EQ(7u, read().last_event);
}

TEST_F(HeritageTest, a_PID_that_was_used_again_is_not_the_run) {
  note(9, ::getpid(), os::start_ticks(::getpid()) + 1);
  const ports::Heritage heritage = read();
  EXPECT_TRUE(heritage.runs.empty());
  ASSERT_EQ(1u, heritage.gone.size());
  EXPECT_EQ(9u, heritage.gone[0].run);
}

TEST_F(HeritageTest, after_a_restart_of_the_machine_everything_is_gone_whatever_the_numbers_say) {
  note(9, ::getpid(), os::start_ticks(::getpid()));
  list.boot_id = "another";
  const ports::Heritage heritage = read();
  EXPECT_TRUE(heritage.runs.empty());
  EXPECT_EQ(1u, heritage.gone.size());
  EXPECT_EQ(1u, heritage.losses.size());
}

// PID and start time are those of a process that is there, as the numbers of another namespace may happen to be.
TEST_F(HeritageTest, a_list_of_another_PID_namespace_names_nobody_whatever_the_numbers_say) {
  const Service service("/elsewhere", 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  ASSERT_EQ(1u, read().runs.size()) << "in this one it is that run";
  for (const std::uint64_t other : {os::pid_namespace() + 1, std::uint64_t{0}}) {
    list.pid_namespace = other;
    const ports::Heritage heritage = read();
    EXPECT_TRUE(heritage.runs.empty()) << other;
    ASSERT_EQ(1u, heritage.gone.size());
    EXPECT_EQ(9u, heritage.gone[0].run);
    ASSERT_EQ(1u, heritage.losses.size());
    EXPECT_NE(std::string::npos, heritage.losses[0].find("container was restarted")) << heritage.losses[0];
    EXPECT_EQ(19u, heritage.greatest_run) << "its numbers are not given again";
  }
}

// One that is not told by numbers is found in any namespace.
TEST_F(HeritageTest, what_runs_here_is_found_beside_a_list_of_another_PID_namespace) {
  const Service service(directory.path(), 42, "shop.web.0");
  note(9, ::getpid(), os::start_ticks(::getpid()));
  list.pid_namespace = os::pid_namespace() + 1;
  const ports::Heritage heritage = read();
  ASSERT_EQ(1u, heritage.runs.size());
  EXPECT_EQ(service.pid(), heritage.runs[0].pid);
}

TEST_F(HeritageTest, a_run_started_after_the_last_write_is_found_by_its_environment) {
  Service service(directory.path(), 42, "shop.web.0");
  note(0, 0, 0);  // the slot was noted while nothing ran
  const ports::Heritage heritage = read();
  ASSERT_EQ(1u, heritage.runs.size());
  EXPECT_EQ(42u, heritage.runs[0].run);
  EXPECT_EQ(service.pid(), heritage.runs[0].pid);
  EXPECT_EQ(4u, heritage.runs[0].document);
  EXPECT_EQ(1u, heritage.runs[0].service);
  EXPECT_TRUE(heritage.gone.empty());
  EXPECT_EQ(42u, heritage.greatest_run);
}

TEST_F(HeritageTest, only_documents_of_services_that_are_left_are_read) {
  std::ofstream(directory / "spec/9.json") << "never read";
  const Service service(directory.path(), 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  const ports::Heritage heritage = read();
  ASSERT_EQ(1u, heritage.documents.size());
  EXPECT_EQ(4u, heritage.documents[0].version);
  EXPECT_EQ(9u, heritage.greatest_document);
  EXPECT_TRUE(heritage.losses.empty());
}

TEST_F(HeritageTest, a_document_that_never_came_to_the_disk_is_found_in_DIR_state) {
  ::mkdir((directory / "state").c_str(), 0700);
  std::filesystem::rename(directory / "spec/4.json", directory / "state/document-4");
  const Service service(directory.path(), 9, "shop.web.0");
  note(9, service.pid(), service.ticks());
  EXPECT_EQ(1u, read().documents.size());
}

TEST_F(HeritageTest, what_another_instance_runs_is_not_ours) {
  Service service("/elsewhere", 42, "shop.web.0");
  EXPECT_TRUE(read().runs.empty());
}

TEST_F(HeritageTest, a_leftover_of_a_dead_leader_is_named_and_left_alone) {
  Service stray(directory.path(), 9, "shop.web.0");
  note(9, 1, 1);
  const ports::Heritage heritage = read();
  EXPECT_TRUE(heritage.runs.empty());
  ASSERT_EQ(1u, heritage.losses.size());
  EXPECT_NE(std::string::npos, heritage.losses[0].find(std::to_string(stray.pid())));
}

TEST_F(HeritageTest, names_of_pipes_and_sockets_keep_numbers_from_being_used_again) {
  ::mkdir((directory / "o").c_str(), 0711);
  std::ofstream(directory / "o/77") << "";
  EXPECT_EQ(77u, read().greatest_run);
}

TEST_F(HeritageTest, torn_and_foreign_files_are_losses_in_words_and_no_failure) {
  // Whose service it is nobody knows: all documents are looked at.
  const Service service(directory.path(), 42, "shop.other.0");
  std::ofstream(directory / "spec/5.json") << "rubbish";
  std::ofstream(directory / "spec/6.json.new") << "shop";
  std::ofstream(directory / "runs.json") << "{\"for";
  Result<ports::Heritage> heritage = read_heritage(directory.path(), shop_document);
  ASSERT_TRUE(heritage);
  EXPECT_TRUE(heritage->documents.empty());
  EXPECT_EQ(3u, heritage->losses.size());
  EXPECT_EQ(5u, heritage->greatest_document);
  EXPECT_TRUE(std::ifstream(directory / "spec/5.json.put-aside").good());
  EXPECT_TRUE(std::ifstream(directory / "spec/4.json.put-aside").good()) << "whose it is the list would have said";
  EXPECT_FALSE(read_heritage(directory / "none", shop_document));
}

}  // namespace
}  // namespace hearth::store
