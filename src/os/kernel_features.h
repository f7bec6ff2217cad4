// What the running kernel gives hearth. Found by trying, not from its version: containers refuse what kernels have, and
// distributions carry back what versions do not say. Nothing that is tried leaves a trace.
#pragma once

#include <string>
#include <vector>

namespace hearth::os {

struct KernelFeature {
  std::string name;     // as in its man page: "pidfd_open(2)"
  std::string since;    // version of Linux that brought it
  std::string without;  // what hearth does, or cannot do, without it
  bool required = false;
  bool there = false;
};

// Forks once: a child whose end is looked at.
std::vector<KernelFeature> kernel_features();

// "6.18.5", as uname(2) has it.
std::string kernel_release();

}  // namespace hearth::os
