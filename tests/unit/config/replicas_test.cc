// What replicas cannot share: the same answer for files, the API and scale.
#include "config/replicas.h"

#include <gtest/gtest.h>

namespace hearth::config {
namespace {

std::string problems_of(const ServiceSpec& spec) {
  std::string out;
  for (const ReplicaProblem& problem : replica_problems(spec))
    out += std::string(problem.key) + ": " + problem.reason + "\n";
  return out;
}

ServiceSpec listens(std::uint32_t replicas, std::vector<std::string> addresses) {
  ServiceSpec spec;
  spec.name = "web";
  spec.replicas = replicas;
  for (std::string& address : addresses) spec.listen.push_back({"web", std::move(address), 16});
  return spec;
}

TEST(ReplicaProblems, OneReplicaHasNone) {
  ServiceSpec spec = listens(1, {"tcp:*:80"});
  spec.around.edit().ports = {80};
  spec.around.edit().pid_file = "/run/web.pid";
  EXPECT_EQ(problems_of(spec), "");
}

TEST(ReplicaProblems, AnAddressForEachIsNone) {
  EXPECT_EQ(problems_of(listens(3, {"tcp:*:{index+8001}", "unix:/run/web.{index}", "tcp:*:0"})), "");
}

TEST(ReplicaProblems, OneAddressForAllIs) {
  EXPECT_EQ(problems_of(listens(2, {"tcp:*:80"})),
            "listen: all 2 replicas would listen on \"tcp:*:80\", and only one can\n");
  EXPECT_EQ(problems_of(listens(2, {"unix:/run/{{index}}"})),
            "listen: all 2 replicas would listen on \"unix:/run/{{index}}\", and only one can\n")
      << "in double braces it is no number";
}

TEST(ReplicaProblems, SocketsOfTwoMayNotMeet) {
  EXPECT_EQ(problems_of(listens(2, {"tcp:*:{index+8001}", "tcp:*:{index+8002}"})),
            "listen: replicas 0 and 1 would both listen on \"tcp:*:8002\", and only one can\n");
  EXPECT_EQ(problems_of(listens(2, {"tcp:*:{index+8001}", "tcp:*:{index+8003}"})), "");
}

TEST(ReplicaProblems, TheLastOneStaysInRange) {
  EXPECT_EQ(problems_of(listens(36, {"tcp:*:{index+65500}"})), "");
  EXPECT_EQ(problems_of(listens(37, {"tcp:*:{index+65500}"})),
            "listen: replica 36 would listen on \"tcp:*:65536\", and 65535 is the last port\n");
  const std::string long_path = "unix:/" + std::string(max_socket_path - 2, 'x') + "{index}";
  EXPECT_EQ(problems_of(listens(10, {long_path})), "");
  EXPECT_NE(problems_of(listens(11, {long_path})).find("has 108 bytes"), std::string::npos);
}

TEST(ReplicaProblems, PortsAndFilesAreOneForAll) {
  ServiceSpec spec;
  spec.replicas = 3;
  spec.around.edit().ports = {8001};
  spec.around.edit().ready_file = "/run/web";
  spec.around.edit().pid_file = "/run/web.{index}";
  EXPECT_EQ(problems_of(spec),
            "ports: all 3 replicas would listen on port 8001, and only one can\n"
            "ready_file: ready_file is one file for 3 replicas\n");
}

}  // namespace
}  // namespace hearth::config
