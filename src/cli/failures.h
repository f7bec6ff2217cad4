// What is said at the end of an order of the services that have failed: why, the last that their failed runs wrote, where
// all of it is, and whether hearth goes on trying. Replicas that have failed alike are told once.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "cli/answers.h"
#include "cli/context.h"

namespace hearth::cli {

// To stderr. `given`: when the order was; what a run wrote that was well before is none of its failure's. `of_reload`: they
// were told to read their own configuration again.
void tell_failures(const Context& context, const OrderNews& news, WallNs given, bool of_reload);

// "worker.0-2, worker.5": the replicas of one service, by their indices in order. `base`: "worker".
std::string replicas_text(const std::string& base, const std::vector<std::uint32_t>& indices);

}  // namespace hearth::cli
