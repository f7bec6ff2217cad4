// import, export, top and tree, on a real hearth.
#include "integration/cli/hearth_command.h"
#include "support/small_disk.h"

namespace hearth::cli {
namespace {

TEST_F(CommandTest, what_supervisord_ran_runs_in_hearth) {
  write("supervisord.conf",
        "[supervisord]\nnodaemon=true\n[program:one]\ncommand=/bin/sleep 1000\nautorestart=true\n"
        "[program:two]\ncommand=/bin/sh -c \"exec sleep 1000\"\npriority=5\n[include]\nfiles=conf.d/*.conf\n");
  fs::create_directory(project + "/conf.d");
  write("conf.d/three.conf",
        "[program:three]\ncommand=sleep %(process_num)d00\nnumprocs=2\nnumprocs_start=5\n"
        "process_name=%(program_name)s_%(process_num)d\n");
  const Finished imported = hearth({"import", "supervisord", "supervisord.conf", "-o", "hearth.toml"});
  EXPECT_EQ(imported.code, 0) << imported.all();
  EXPECT_NE(imported.err.find("supervisord.conf:8: program two: priority = 5 is not carried over"), std::string::npos)
      << imported.err;
  EXPECT_NE(imported.err.find("3 services"), std::string::npos) << imported.err;
  EXPECT_NE(imported.err.find("\nconf.d/three.conf:1: program three: "), std::string::npos) << imported.err;
  std::ifstream file(project + "/hearth.toml");
  const std::string made(std::istreambuf_iterator<char>(file), {});
  EXPECT_NE(made.find("\n# conf.d/three.conf:1: program three: "), std::string::npos) << made;
  EXPECT_NE(made.find("depends_on = [\"two\"]\n[service.one]"), std::string::npos) << made;
  EXPECT_EQ(hearth({"import", "supervisord", "supervisord.conf", "-o", "hearth.toml"}).code, 1);
  const Finished up = hearth({"up"});
  EXPECT_EQ(up.code, 0) << up.all();
  EXPECT_EQ(hearth({"status", "one", "two", "three.0", "three.1"}).code, 0);
}

TEST_F(CommandTest, what_is_imported_is_valid_whatever_was_written_there) {
  write("odd.conf",
        "[program:a]\ncommand=sleep 1\nstartsecs=90000\nexitcodes=0,abc\nstopwaitsecs=99999\numask=0o22\n"
        "stopsignal=FOO\nstdout_logfile_maxbytes=1XB\nenvironment=NOTIFY_SOCKET=x\ndirectory=%(here)s/x\n"
        "[program:b]\ncommand=\n[program:c]\ncommand=sleep %(ENV_NAPS)s\n");
  write("odd.json",
        R"([{"name":"d","script":"d.js","max_restarts":null,"min_uptime":0,"listen_timeout":50,"kill_timeout":100,)"
        R"("stop_exit_codes":[0,"x"],"cwd":"sub","uid":true},)"
        R"({"name":"e","script":"e.js","max_restarts":-1,"min_uptime":"10s","listen_timeout":8000}])");
  for (const auto& [kind, file] : {std::pair("supervisord", "odd.conf"), std::pair("pm2", "odd.json")}) {
    const std::string made = std::string(kind) + ".toml";
    const Finished imported = hearth({"import", kind, file, "-o", made});
    EXPECT_EQ(imported.code, 0) << imported.all();
    EXPECT_NE(imported.err.find("left out, because hearth would refuse it: "), std::string::npos) << imported.err;
    if (kind == std::string_view("supervisord")) {
      EXPECT_NE(imported.err.find("odd.conf:7: left out, because hearth would refuse it: stop_signal = \"FOO\""),
                std::string::npos)
          << imported.err;
    }
    ::setenv("NAPS", "3", 1);
    const Finished valid = hearth({"config", "validate", "-f", made});
    EXPECT_EQ(valid.code, 0) << valid.all();
  }
  const auto contents = [&](const char* name) {
    std::ifstream in(project + "/" + name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string first = contents("supervisord.toml");
  EXPECT_NE(first.find("\"${NAPS}\""), std::string::npos) << first;
  EXPECT_NE(first.find("cwd = \"" + project + "/x\""), std::string::npos) << first;
  EXPECT_NE(contents("pm2.toml").find("cwd = \"" + project + "/sub\""), std::string::npos) << contents("pm2.toml");
}

TEST_F(CommandTest, what_the_disk_has_no_room_for_is_told_and_leaves_nothing) {
  std::string many;
  for (int i = 0; i < 300; ++i)
    many += "[program:p" + std::to_string(i) + "]\ncommand=sleep 1000\nautorestart=true\ndirectory=/srv/somewhere\n";
  write("many.conf", many);
  const std::string small = project + "/small";
  fs::create_directory(small);
  const support::SmallDisk disk(small, "size=16k,mode=700");
  if (!disk) GTEST_SKIP() << "no mounts here";
  const std::vector<std::string> import = {"import", "supervisord", "many.conf", "-o", "small/hearth.toml"};
  const Finished full = hearth(import);
  EXPECT_EQ(full.code, 1);
  EXPECT_NE(full.err.find("No space left on device"), std::string::npos) << full.err;
  EXPECT_TRUE(fs::is_empty(small));
  // A shell has sent it there.
  stdout_of_next = ::open((small + "/half.toml").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  EXPECT_EQ(hearth({"import", "supervisord", "many.conf"}).code, 1);
  fs::remove(small + "/half.toml");
  EXPECT_EQ(hearth({"import", "supervisord", "many.conf", "-o", "hearth.toml"}).code, 0);
  EXPECT_EQ(hearth({"export", "systemd", "-o", "small"}).code, 1);
  EXPECT_TRUE(fs::is_empty(small)) << "some units";
  ASSERT_TRUE(disk.resize("size=8m"));
  EXPECT_EQ(hearth(import).code, 0);
  EXPECT_EQ(hearth({"config", "validate", "-f", "small/hearth.toml"}).code, 0);
  fs::remove(small + "/hearth.toml");
  EXPECT_EQ(hearth({"export", "systemd", "-o", "small"}).code, 0);
  const Finished again = hearth({"export", "systemd", "-o", "small"});
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("it is there already"), std::string::npos) << again.err;
}

TEST_F(CommandTest, what_cannot_be_imported_says_why) {
  EXPECT_EQ(hearth({"import"}).code, 2);
  EXPECT_EQ(hearth({"import", "upstart", "x"}).code, 2);
  EXPECT_EQ(hearth({"import", "supervisord", "nowhere.conf"}).code, 2);
  write("latin.conf", "[program:x]\ncommand=sleep 1000\nenvironment=A=\xe9\n");
  const Finished latin = hearth({"import", "supervisord", "latin.conf"});
  EXPECT_NE(latin.code, 0);
  EXPECT_NE(latin.err.find("iconv"), std::string::npos) << latin.err;
  write("outer.conf", "[program:x]\ncommand=sleep 1000\n[include]\nfiles=latin.conf\n");
  EXPECT_NE(hearth({"import", "supervisord", "outer.conf"}).err.find("latin.conf"), std::string::npos);
  write("Procfile", "web: sleep 1000\n");
  write(".env", "A=1\n");
  const Finished procfile = hearth({"import", "procfile", "Procfile"});
  EXPECT_EQ(procfile.code, 0) << procfile.err;
  EXPECT_NE(procfile.out.find("PORT = 5000"), std::string::npos) << procfile.out;
  EXPECT_NE(procfile.out.find("A = \"1\""), std::string::npos) << procfile.out;
}

TEST_F(CommandTest, services_are_exported_as_units) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"/bin/sleep\", \"1000\"]\n[service.db]\ncommand = [\"/bin/true\"]\n");
  const Finished one = hearth({"export", "systemd", "web"});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_NE(one.out.find("ExecStart=/bin/sleep 1000\n"), std::string::npos) << one.out;
  EXPECT_EQ(one.out.find("/bin/true"), std::string::npos) << one.out;
  fs::create_directory(project + "/hearth.d");
  write("hearth.d/10-here.toml", "[service.web]\nenv = { PORT = \"{index+7000}\" }\nreplicas = 2\n");
  const Finished layered = hearth({"export", "systemd", "web", "--set", "service.web.nice=5"});
  EXPECT_EQ(layered.code, 0) << layered.err;
  EXPECT_NE(layered.out.find("PORT=%i"), std::string::npos) << "drop-ins have their say: " << layered.out;
  EXPECT_NE(layered.out.find("Nice=5"), std::string::npos) << layered.out;
  fs::remove_all(project + "/hearth.d");
  EXPECT_EQ(hearth({"export", "systemd", "-o", "."}).code, 0);
  EXPECT_TRUE(fs::exists(project + "/project-db.service"));
  EXPECT_EQ(hearth({"export", "systemd", "nobody"}).code, 2);
  EXPECT_EQ(hearth({"export", "launchd"}).code, 2);
}

TEST_F(CommandTest, top_and_tree_know_all_processes_of_a_service) {
  write("hearth.toml",
        "[service.family]\ncommand = [\"sh\", \"-c\", \"setsid sleep 4321 & sleep 1234; true\"]\n"
        "[service.off]\ncommand = [\"sh\", \"-c\", \"exit 0\"]\n");
  ASSERT_EQ(hearth({"up"}).code, 0);
  const auto children = [&] { return hearth({"tree", "family"}).out; };
  ASSERT_TRUE(eventually([&] {
    const std::string tree = children();
    return tree.find("sleep 4321") != tree.npos && tree.find("sleep 1234") != tree.npos;
  })) << children();
  EXPECT_TRUE(children().starts_with("family running\n`-")) << children();
  const Finished top = hearth({"top"});
  EXPECT_EQ(top.code, 0) << top.err;
  EXPECT_TRUE(top.out.starts_with("SERVICE")) << top.out;
  const boost::json::value json = boost::json::parse(hearth({"top", "--json", "--pss", "-s", "name"}).out);
  const boost::json::value& family = json.at("services").at(0);
  EXPECT_EQ(family.at("service").as_string(), "project.family.0");
  EXPECT_EQ(family.at("processes").as_int64(), 3);
  EXPECT_GT(family.at("memory_kib").as_int64(), 0);
  const boost::json::value trees = boost::json::parse(hearth({"tree", "--json"}).out);
  EXPECT_EQ(trees.at(0).at("processes").at(0).at("children").as_array().size(), 2u);
  EXPECT_EQ(hearth({"top", "--sort", "beauty"}).code, 2);
  EXPECT_EQ(hearth({"top", "nobody"}).code, 2);
}

}  // namespace
}  // namespace hearth::cli
