// Spawn plans. The first byte chooses: 'r' hostile bytes as a spawner receives them, with a second byte for how many
// descriptors came: what passes the check can be walked as the child walks it. 'd' a document as JSON: what hearth
// makes of each of its services passes the check and says what the service says.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "config/document_json.h"
#include "fuzz/bytes.h"
#include "os/plan_builder.h"
#include "wire/spawn_plan.h"

namespace {

using namespace hearth;
using wire::PlanHeader;
using wire::PlanTable;

template <typename T>
T record(const PlanHeader& plan, PlanTable table, std::uint32_t index) {
  T value;
  std::memcpy(&value, reinterpret_cast<const char*>(&plan) + table.offset + index * sizeof value, sizeof value);
  return value;
}

// Reads each string to its end: a sanitizer sees the first byte too far.
std::vector<std::string> strings(const PlanHeader& plan, PlanTable table) {
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < table.count; ++i)
    out.emplace_back(reinterpret_cast<const char*>(&plan) + record<std::uint32_t>(plan, table, i));
  return out;
}

void walk(PlanHeader& plan, std::uint32_t descriptors) {
  char* const base = reinterpret_cast<char*>(&plan);
  HEARTH_CHECK(!strings(plan, plan.paths).empty() && !strings(plan, plan.argv).empty(), "there is a program");
  strings(plan, plan.env);
  for (std::uint32_t i = 0; i < plan.pid_patches.count; ++i)
    std::memcpy(base + record<std::uint32_t>(plan, plan.pid_patches, i), "2147483647", 11);
  for (std::uint32_t i = 0; i < plan.descriptors.count; ++i) {
    const auto one = record<wire::PlanDescriptor>(plan, plan.descriptors, i);
    HEARTH_CHECK(one.index < descriptors && one.target >= 0, "only what came can be handed on");
  }
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < plan.limits.count; ++i) sum += record<wire::PlanLimit>(plan, plan.limits, i).soft;
  for (std::uint32_t i = 0; i < plan.groups.count; ++i) sum += record<std::uint32_t>(plan, plan.groups, i);
  for (std::uint32_t i = 0; i < plan.cpus.count; ++i) sum += record<std::uint64_t>(plan, plan.cpus, i);
  for (std::uint32_t i = 0; i < plan.filter.count; ++i) sum += record<std::uint64_t>(plan, plan.filter, i);
  if (plan.cwd != 0) sum += std::strlen(base + plan.cwd);
  if (plan.input != 0) sum += std::strlen(base + plan.input);
  volatile std::uint64_t used = sum;
  (void)used;
  HEARTH_CHECK(plan.cgroup < static_cast<std::int32_t>(descriptors), "the leaf came with the plan");
}

void feed_raw(std::string_view bytes, std::uint32_t descriptors) {
  // As the spawner does it: a copy that nobody else can change, with the alignment of its header.
  const std::unique_ptr<std::uint64_t[]> copy(new std::uint64_t[bytes.size() / 8 + 1]());
  char* const at = reinterpret_cast<char*>(copy.get());
  // It ends where the buffer ends, as far as alignment allows.
  std::memcpy(at, bytes.data(), bytes.size());
  const char* problem = wire::plan_problem(at, bytes.size(), descriptors);
  if (problem == nullptr) walk(*reinterpret_cast<PlanHeader*>(at), descriptors);
  if (problem != nullptr) HEARTH_CHECK(*problem != 0, "a refusal says why");
}

void feed_document(std::string_view text) {
  const Result<Document> document = config::document_from_json(text);
  if (!document) return;
  std::uint32_t slot = 0;
  for (const ServiceSpec& spec : document->services) {
    ports::SpawnOrder order;
    order.slot = slot++ % 4096;
    order.entry = order.slot * 2;
    order.run = 77;
    order.label = document->project + "." + spec.name + ".0";
    order.document = &*document;
    order.spec = &spec;
    order.command = &spec.command;
    const os::PlanContext context{.instance_directory = "/run/hearth/main",
                                  .notify_path = "/run/hearth/main/n/77",
                                  .passed = {"http", "https"},
                                  .own = {{"STATE_DIRECTORY", "/var/lib/x"}},
                                  .ready_descriptor = -1,
                                  .leaf = true,
                                  .nofile = os::NofileLimit{1024, 4096},
                                  .mark = 7};
    Result<std::string> plan = os::build_plan(order, context);
    if (!plan) {
      HEARTH_CHECK(!plan.error().reason.empty(), "every refusal says why");
      continue;
    }
    constexpr std::uint32_t descriptors = 5;  // null, FIFO, the two passed, leaf
    HEARTH_CHECK(wire::plan_problem(plan->data(), plan->size(), descriptors) == nullptr, "what we make holds");
    PlanHeader& header = *reinterpret_cast<PlanHeader*>(plan->data());
    const std::vector<std::string> argv = strings(header, header.argv);
    HEARTH_CHECK(argv.size() == spec.command.size(), "every word of the command is there");
    for (std::size_t i = 0; i < argv.size(); ++i)
      HEARTH_CHECK(argv[i] == spec.command[i] || spec.command[i].find("{fd:") != std::string::npos,
                   "as it was written");
    bool told = false;
    for (const std::string& line : strings(header, header.env)) told |= line == "HEARTH_RUN=77";
    HEARTH_CHECK(told, "a service knows its run");
    walk(header, descriptors);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  if (kind == 'r') {
    const std::uint32_t descriptors = bytes.byte();
    feed_raw(bytes.rest(), descriptors);
  } else if (kind == 'd') {
    feed_document(bytes.rest());
  }
  return 0;
}
