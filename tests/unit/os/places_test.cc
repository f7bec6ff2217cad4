// fd, instance directory, processes, cgroup places, control socket.
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "os/cgroup.h"
#include "os/control_socket.h"
#include "os/fd.h"
#include "os/instance.h"
#include "os/proc_stat.h"
#include "os/reserve.h"
#include "unit/os/few_descriptors.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

// Runs `body` as an ordinary user in a child; true when it returns true.
template <typename Body>
bool as_nobody(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) < 0 || ::setresuid(65534, 65534, 65534) < 0) ::_exit(2);
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Fd, closes_once_and_moves) {
  int number = -1;
  {
    Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = fd.get();
    Fd other = std::move(fd);
    EXPECT_FALSE(fd);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(number, other.get());
    Fd& same = other;
    other = std::move(same);
    EXPECT_GE(::fcntl(number, F_GETFD), 0);
  }
  EXPECT_LT(::fcntl(number, F_GETFD), 0);
}

TEST(Fd, a_sealed_memfd_can_be_changed_by_nobody) {
  Result<Fd> fd = make_sealed_memfd("x", "hello");
  ASSERT_TRUE(fd);
  EXPECT_LT(::pwrite(fd->get(), "J", 1, 0), 0);
  EXPECT_LT(::ftruncate(fd->get(), 0), 0);
  EXPECT_EQ(5u, *file_size(fd->get(), "x"));
}

TEST(Fd, a_mapping_of_a_file_that_is_too_short_is_refused) {
  Result<Fd> fd = make_memfd("x", 4);
  ASSERT_TRUE(fd);
  EXPECT_FALSE((Mapping<std::uint64_t>::map(fd->get(), Access::write, "x")));
}

TEST(Fd, descriptors_of_one_file_have_one_identity_and_others_another) {
  Result<Fd> a = make_memfd("x", 1);
  Result<Fd> b = make_memfd("x", 1);
  Result<Fd> copy = duplicate(a->get());
  EXPECT_EQ(file_identity(a->get()), file_identity(copy->get()));
  EXPECT_NE(file_identity(a->get()), file_identity(b->get()));
}

TEST(Fd, a_bell_is_taken_once_however_often_it_was_rung) {
  Result<Fd> bell = make_eventfd();
  ring(bell->get());
  ring(bell->get());
  EXPECT_EQ(2u, drain(bell->get()));
  EXPECT_EQ(0u, drain(bell->get()));
}

struct InstanceTest : ::testing::Test {
  test::TempDirectory root;
  HostFacts host{::geteuid(), root / "home", "0123456789ab", root / "run", root / "log", root / "tmp"};
  mode_t mode(const std::string& path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
  }
};

TEST_F(InstanceTest, the_place_follows_from_user_and_host_and_never_from_the_environment) {
  ::setenv("HOME", "/elsewhere", 1);
  ::setenv("XDG_RUNTIME_DIR", "/elsewhere", 1);
  host.uid = 0;
  EXPECT_EQ(root / "run/hearth/main", find_instance("main", "", host)->directory);
  EXPECT_EQ(root / "log/hearth/main", find_instance("main", "", host)->log_directory);
  host.uid = 1000;
  EXPECT_EQ(root / "home/.local/state/hearth/0123456789ab/main", find_instance("main", "", host)->directory);
  EXPECT_EQ(root / "home/.local/state/hearth/0123456789ab/main/logs", find_instance("main", "", host)->log_directory);
  host.home.clear();
  EXPECT_EQ(root / "tmp/hearth-1000/main", find_instance("main", "", host)->directory);
  EXPECT_EQ("/srv/h", find_instance("main", "/srv/x/../h/", host)->directory);
  EXPECT_EQ("/srv/h/logs", find_instance("main", "/srv/h", host)->log_directory);
}

TEST_F(InstanceTest, a_directory_has_one_spelling_whatever_links_lie_above_it) {
  std::filesystem::create_directories(root / "real/run/hearth");
  std::filesystem::create_symlink(root / "real", root / "link");
  EXPECT_EQ(root / "real/h", find_instance("main", root / "link/h", host)->directory);
  EXPECT_EQ(root / "real/new/h", find_instance("main", root / "link/new/h", host)->directory) << "not there yet";
  EXPECT_EQ(root / "link", find_instance("main", root / "link", host)->directory) << "itself a link, it is refused";
  // Nor may links lie where hearth makes the directories itself.
  std::filesystem::create_directories(root / "tmp");
  std::filesystem::create_symlink(root / "real", root / "tmp/hearth-1000");
  host.uid = 1000;
  EXPECT_EQ(root / "tmp/hearth-1000/h", find_instance("main", root / "tmp/hearth-1000/h", host)->directory);
  // A link may be there to make a long path a short one.
  const std::string deep = root / ("real/" + std::string(instance_path_max, 'd'));
  std::filesystem::create_directories(deep);
  std::filesystem::create_symlink(deep, root / "short");
  EXPECT_EQ(root / "short/h", find_instance("main", root / "short/h", host)->directory);
}

TEST_F(InstanceTest, names_that_are_no_words_and_paths_too_long_for_sockets_are_refused_with_the_remedy) {
  for (const char* name : {"", "..", "a/b", "-x", "a b"}) EXPECT_FALSE(find_instance(name, "", host)) << name;
  EXPECT_TRUE(find_instance("main", "/" + std::string(instance_path_max - 1, 'x'), host));
  Result<Instance> tall = find_instance("main", "/" + std::string(instance_path_max, 'x'), host);
  ASSERT_FALSE(tall);
  EXPECT_NE(std::string::npos, tall.error().text().find("--dir"));
}

TEST_F(InstanceTest, what_is_made_is_closed_to_others_and_making_it_again_mends_it) {
  ::umask(0);
  const Instance instance{"main", root / "srv/i", root / "srv/i/logs"};
  ASSERT_TRUE(make_instance(instance, host));
  ASSERT_EQ(0, ::chmod((root / "srv/i/spec").c_str(), 0755));
  Result<Fd> again = make_instance(instance, host);
  ASSERT_TRUE(again);
  EXPECT_EQ(0711u, mode(root / "srv/i"));
  EXPECT_EQ(0711u, mode(root / "srv/i/n"));
  EXPECT_EQ(0711u, mode(root / "srv/i/o"));
  EXPECT_EQ(0700u, mode(root / "srv/i/spec"));
  EXPECT_EQ(0711u, mode(root / "srv/i/logs"));
  EXPECT_TRUE(::fcntl(again->get(), F_GETFL) & O_PATH);
}

TEST_F(InstanceTest, links_and_directories_of_others_are_refused) {
  std::filesystem::create_directories(root / "real");
  std::filesystem::create_symlink(root / "real", root / "link");
  Result<Fd> linked = make_instance({"main", root / "link", root / "link/logs"}, host);
  ASSERT_FALSE(linked);
  EXPECT_NE(std::string::npos, linked.error().text().find("symbolic link"));
  ASSERT_EQ(0, ::chmod((root / "real").c_str(), 0777));
  EXPECT_FALSE(make_instance({"main", root / "real", root / "real/logs"}, host));
  if (::geteuid() != 0) return;
  ASSERT_EQ(0, ::chmod((root / "real").c_str(), 0755));
  ASSERT_EQ(0, ::chown((root / "real").c_str(), 65534, 65534));
  Result<Fd> foreign = make_instance({"main", root / "real", root / "real/logs"}, host);
  ASSERT_FALSE(foreign);
  EXPECT_NE(std::string::npos, foreign.error().text().find("belongs to user 65534"));
}

TEST_F(InstanceTest, an_ordinary_user_makes_one_in_his_home) {
  if (::geteuid() != 0) GTEST_SKIP() << "becomes that user";
  std::filesystem::create_directories(root / "home");
  ASSERT_EQ(0, ::chmod(root.path().c_str(), 0755));
  ASSERT_EQ(0, ::chown((root / "home").c_str(), 65534, 65534));
  host.uid = 65534;
  EXPECT_TRUE(as_nobody([&] {
    Result<Instance> instance = find_instance("main", "", host);
    return instance && make_instance(*instance, host).has_value();
  }));
}

TEST_F(InstanceTest, who_cannot_have_a_directory_at_home_is_told_how_to_name_another) {
  // A file stands where a directory has to be: so it is refused to root, too.
  std::filesystem::create_directories(root / "home");
  const Fd file(::open((root / "home/.local").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  host.uid = 1000;
  const Result<Instance> instance = find_instance("main", "", host);
  ASSERT_TRUE(instance);
  const Result<Fd> made = make_instance(*instance, host);
  ASSERT_FALSE(made);
  EXPECT_NE(std::string::npos, made.error().hint.find("--dir DIR")) << made.error().text();
  EXPECT_NE(std::string::npos, made.error().hint.find("whatever HOME says")) << made.error().text();
  const Result<Fd> named = make_instance({"main", root / "home/.local/i", root / "home/.local/i/logs"}, host);
  ASSERT_FALSE(named);
  EXPECT_NE(std::string::npos, named.error().hint.find("--dir DIR")) << named.error().text();
}

TEST(ProcStat, a_command_name_may_hold_anything) {
  ProcStat stat;
  ASSERT_TRUE(parse_stat("42 (a) b) (c) S 7 42 41 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3 0 0 0 0 0 256", stat));
  EXPECT_EQ("a) b) (c", stat.name);
  EXPECT_EQ(7, stat.parent);
  EXPECT_EQ(42, stat.group);
  EXPECT_EQ(41, stat.session);
  EXPECT_EQ(987654u, stat.start_ticks);
  EXPECT_EQ(256u, stat.pending_signals);
  EXPECT_FALSE(stat.only_forked);
  ASSERT_TRUE(parse_stat(
      "42 (sh) S 7 42 40 0 -1 0 1 2 3 4 100 50 3 2 20 0 9 0 12345 1000000 256 18446744073709551615 0 0 0 0 0 0\n",
      stat));
  EXPECT_EQ('S', stat.state);
  EXPECT_EQ(155u, stat.ticks);
  EXPECT_EQ(9u, stat.threads);
  EXPECT_EQ(12345u, stat.start_ticks);
  EXPECT_EQ(256u * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024, stat.resident_kib);
  EXPECT_FALSE(parse_stat("", stat));
  EXPECT_FALSE(parse_stat("42 (x", stat));
  EXPECT_FALSE(parse_stat("42 (x) S 1", stat));
}

TEST(ProcStat, who_has_executed_nothing_since_its_fork_is_told_from_who_has) {
  int go[2], written[2];
  ASSERT_EQ(0, ::pipe2(go, O_CLOEXEC));
  ASSERT_EQ(0, ::pipe2(written, O_CLOEXEC));
  const pid_t child = ::fork();
  if (child == 0) {
    char byte;
    ::dup2(written[1], STDOUT_FILENO);
    if (::read(go[0], &byte, 1) == 1) ::execl("/bin/sh", "sh", "-c", "echo; exec sleep 1000", nullptr);
    ::_exit(1);
  }
  ProcStat of_child, of_us;
  ASSERT_TRUE(read_stat(child, of_child) && read_stat(::getpid(), of_us));
  EXPECT_TRUE(of_child.only_forked);
  EXPECT_FALSE(of_us.only_forked);
  char byte = 0;
  ASSERT_EQ(1, ::write(go[1], &byte, 1));
  ASSERT_EQ(1, ::read(written[0], &byte, 1));
  ASSERT_TRUE(read_stat(child, of_child));
  EXPECT_FALSE(of_child.only_forked) << "the same process, after its exec";
  ASSERT_EQ(0, ::kill(child, SIGKILL));
  ASSERT_EQ(child, ::waitpid(child, nullptr, 0));
  for (const int fd : {go[0], go[1], written[0], written[1]}) ::close(fd);
}

TEST(ProcStat, the_end_of_who_has_been_reaped_is_known_where_the_kernel_tells_it) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(7);
  const Fd pidfd(pidfd_open(child));
  siginfo_t end{};
  ASSERT_EQ(0, ::waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT));
  EXPECT_FALSE(end_of_reaped(pidfd.get())) << "not yet";
  ASSERT_EQ(child, ::waitpid(child, nullptr, 0));
  const std::optional<int> status = end_of_reaped(pidfd.get());
  if (!status) GTEST_SKIP() << "this kernel does not tell it";
  EXPECT_EQ(7, WEXITSTATUS(*status));
  EXPECT_FALSE(end_of_reaped(-1));
}

TEST(ProcStat, an_environment_is_empty_when_it_is_there_and_has_no_text) {
  // Fields 3 to 49, and what follows them.
  const auto line = [](const std::string& name, const std::string& rest) {
    std::string text = "42 (" + name + ")";
    for (int field = 3; field < 50; ++field) text += field == 3 ? " S" : " 1";
    return text + rest;
  };
  EXPECT_TRUE(says_empty_environment(line("env", " 140730264784871 140730264784871 0\n")));
  EXPECT_TRUE(says_empty_environment(line("a) 1 (b c", " 140730264784871 140730264784871 0\n")));
  EXPECT_FALSE(says_empty_environment(line("sh", " 140730264784871 140730264788970 0\n"))) << "it has one";
  EXPECT_FALSE(says_empty_environment(line("sh", " 140730264784871 0 0\n"))) << "in the middle of execve(2)";
  EXPECT_FALSE(says_empty_environment(line("kthreadd", " 0 0 0\n")))
      << "a kernel thread, one that ends, one not to be asked";
  EXPECT_FALSE(says_empty_environment(line("sh", "")));
  EXPECT_FALSE(says_empty_environment(line("sh", " 140730264784871")));
  EXPECT_FALSE(says_empty_environment("42 (sh"));
  EXPECT_FALSE(says_empty_environment(""));
}

TEST(ProcStat, a_process_is_known_by_pid_and_start_time_until_it_ends) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const std::uint64_t ticks = start_ticks(child);
  EXPECT_TRUE(process_lives(child, ticks));
  EXPECT_FALSE(process_lives(child, ticks + 1));
  EXPECT_TRUE(whether_lives(child, ticks).value());
  EXPECT_FALSE(whether_lives(child, ticks + 1).value());
  EXPECT_TRUE(open_process(child, ticks).pidfd);
  EXPECT_TRUE(open_process(child, ticks + 1).gone);
  Fd pidfd = open_process(child, ticks).pidfd;
  EXPECT_EQ(0, pidfd_signal(pidfd.get(), SIGKILL));
  siginfo_t info;
  ASSERT_EQ(0, ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT));
  EXPECT_FALSE(process_lives(child, ticks)) << "a zombie does not live";
  EXPECT_TRUE(open_process(child, ticks).pidfd) << "but it is there";
  EXPECT_FALSE(is_gone(pidfd.get()));
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(open_process(child, ticks).gone);
  EXPECT_TRUE(open_process(child).gone);
  EXPECT_TRUE(is_gone(pidfd.get()));
  EXPECT_EQ("", command_of(child));
}

TEST(ProcStat, a_process_is_not_gone_because_descriptors_are) {
  HEARTH_SKIP_IF_SANITIZED();
  const std::uint64_t ticks = start_ticks(::getpid());
  for (int spare : {0, 1}) {  // for neither, for the pidfd alone
    const test::FewDescriptors few(spare);
    const OpenedProcess process = open_process(::getpid(), ticks);
    EXPECT_FALSE(process.pidfd);
    EXPECT_FALSE(process.gone);
    EXPECT_EQ(spare > 0, whether_lives(::getpid(), ticks).has_value());
  }
  EXPECT_TRUE(open_process(::getpid(), ticks).pidfd);
}

TEST(Reserve, holds_back_what_it_can_and_gives_it_back) {
  HEARTH_SKIP_IF_SANITIZED();
  const test::FewDescriptors few(3);
  Reserve all(3);
  EXPECT_TRUE(all.full());
  EXPECT_FALSE(make_eventfd());
  EXPECT_EQ(EMFILE, Reserve(1).error());
  all.give_back();
  EXPECT_TRUE(make_eventfd());
  EXPECT_FALSE(Reserve(4).full());
  EXPECT_TRUE(Reserve(3).full()) << "whoever goes gives them back";
}

TEST(ProcStat, boot_and_namespace_are_known) {
  EXPECT_EQ(36u, boot_id().size());
  EXPECT_NE(0u, pid_namespace());
}

TEST(CgroupPlace, unified_hybrid_namespaced_and_absent_hierarchies) {
  const std::string unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
  EXPECT_EQ("/sys/fs/cgroup/user.slice/x", parse_cgroup_place(unified, "0::/user.slice/x\n").directory());
  EXPECT_EQ("/sys/fs/cgroup", parse_cgroup_place(unified, "0::/\n").directory());
  const std::string hybrid =
      "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
  EXPECT_EQ("/sys/fs/cgroup/unified/a", parse_cgroup_place(hybrid, "1:cpu:/z\n0::/a\n").directory());
  const std::string part = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  EXPECT_EQ("/sys/fs/cgroup/x", parse_cgroup_place(part, "0::/docker/abc/x\n").directory());
  EXPECT_EQ("", parse_cgroup_place(part, "0::/elsewhere\n").directory());
  EXPECT_EQ("", parse_cgroup_place(part, "0::/docker/abc/../..\n").directory());
  EXPECT_EQ("", parse_cgroup_place("", "0::/a\n").directory());
  EXPECT_EQ("/mnt/with space",
            parse_cgroup_place("1 1 0:1 / /mnt/with\\040space rw - cgroup2 c rw\n", "0::/\n").directory());
}

TEST(CgroupTree, without_one_it_says_why_and_that_it_has_no_leaf) {
  test::TempDirectory directory;
  CgroupTree tree = CgroupTree::open_below(directory / "none", "/i");
  EXPECT_FALSE(tree.usable());
  EXPECT_NE(std::string::npos, tree.why().find("none"));
  EXPECT_FALSE(tree.scarce());
  EXPECT_FALSE(tree.has_leaf("a.b.0", 1));
  EXPECT_EQ(CgroupTree::Removed::absent, tree.remove_leaf("a.b.0", 1));
  EXPECT_FALSE(tree.kill_leaf("a.b.0", 1));
  EXPECT_TRUE(tree.leaves().empty());
}

TEST(CgroupTree, that_nobody_could_look_for_one_is_told_apart_from_that_there_is_none) {
  HEARTH_SKIP_IF_SANITIZED();
  const std::string instance = "/test/" + std::to_string(::getpid());
  {
    const test::FewDescriptors few(0);
    const CgroupTree tree = CgroupTree::open(instance, CgroupTree::Missing::leave);
    EXPECT_FALSE(tree.usable());
    EXPECT_TRUE(tree.scarce()) << tree.why();
    EXPECT_TRUE(CgroupTree::open_at("/", instance).scarce());
  }
  EXPECT_FALSE(CgroupTree::open(instance, CgroupTree::Missing::leave).scarce());
}

TEST(CgroupTree, where_a_leaf_stands_is_read_from_the_path_of_who_is_in_it) {
  EXPECT_EQ("/user/3.scope", above_tree("/user/3.scope/hearth.0a/a.b.0.1", "hearth.0a", "a.b.0.1"));
  EXPECT_EQ("/user/3.scope", above_tree("/user/3.scope/hearth.0a/a.b.0.1/own/deep", "hearth.0a", "a.b.0.1"));
  EXPECT_EQ("/hearth.0b/x.y.0.1", above_tree("/hearth.0b/x.y.0.1/hearth.0a/a.b.0.1", "hearth.0a", "a.b.0.1"));
  EXPECT_EQ("/", above_tree("/hearth.0a/a.b.0.1", "hearth.0a", "a.b.0.1"));
  for (const char* other : {"/hearth.0a/a.b.0.12", "/hearth.0b/a.b.0.1", "/hearth.0a/a.b.0.1 (deleted)", "/", ""})
    EXPECT_EQ("", above_tree(other, "hearth.0a", "a.b.0.1")) << other;
}

TEST(CgroupTree, a_leaf_with_a_process_is_busy_until_it_is_killed) {
  CgroupTree tree = CgroupTree::open("/test/" + std::to_string(::getpid()));
  if (!tree.usable()) GTEST_SKIP() << tree.why();
  Result<Fd> leaf = tree.make_leaf("a.b.0", 1);
  ASSERT_TRUE(leaf);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Fd procs(::openat(leaf->get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(write_all(procs.get(), std::to_string(child), "cgroup.procs"));
  EXPECT_EQ(CgroupTree::Removed::busy, tree.remove_leaf("a.b.0", 1));
  if (!tree.kill_leaf("a.b.0", 1)) ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  // What a service made below its leaf goes with it.
  ASSERT_EQ(0, ::mkdirat(leaf->get(), "own", 0755));
  EXPECT_TRUE(tree.has_leaf("a.b.0", 1));
  EXPECT_EQ(CgroupTree::Removed::gone, tree.remove_leaf("a.b.0", 1));
  EXPECT_FALSE(tree.has_leaf("a.b.0", 1));
  EXPECT_EQ(CgroupTree::Removed::absent, tree.remove_leaf("a.b.0", 1));
  tree.remove();
  EXPECT_FALSE(std::filesystem::exists(tree.path()));
}

TEST(ControlSocket, it_replaces_a_dead_ones_name_and_is_the_owners_alone) {
  test::TempDirectory directory;
  Fd at(::open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Result<Fd> first = bind_control_socket(at.get(), directory.path());
  ASSERT_TRUE(first) << first.error().text();
  first->reset();
  Result<Fd> second = bind_control_socket(at.get(), directory.path());
  ASSERT_TRUE(second);
  struct stat st{};
  ASSERT_EQ(0, ::stat((directory / "api.sock").c_str(), &st));
  EXPECT_EQ(0600u, st.st_mode & 07777u);
  EXPECT_FALSE(std::filesystem::exists(directory / "api.new"));
  Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, (directory / "api.sock").c_str());
  ASSERT_EQ(0, ::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  Fd server(::accept4(second->get(), nullptr, nullptr, SOCK_CLOEXEC));
  Result<Peer> peer = check_peer(server.get(), ::geteuid());
  ASSERT_TRUE(peer);
  EXPECT_EQ(::getpid(), peer->pid);
  if (::geteuid() != 0) {
    EXPECT_FALSE(check_peer(server.get(), ::geteuid() + 1));
  }
}

TEST(ControlSocket, another_user_is_refused_even_with_the_descriptor) {
  if (::geteuid() != 0) GTEST_SKIP() << "becomes another user";
  // Who makes the pair is its peer.
  EXPECT_TRUE(as_nobody([] {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return false;
    Result<Peer> refused = check_peer(ends[0], 1000);
    return !refused && refused.error().remedy == Remedy::no_access && check_peer(ends[0], 65534).has_value();
  }));
}

}  // namespace
}  // namespace hearth::os
