// Services as systemd units, for who leaves, or hands one service over to the machine.
//
// A service becomes PROJECT-NAME.service. One with replicas becomes units PROJECT-NAME@INSTANCE.service and
// PROJECT-NAME.target, which starts and stops all of them. Where its texts name the index in one form only, {index} or
// {index+8001}, the units are one template, PROJECT-NAME@.service, whose %i that number is: instances 0, 1 and so on, or
// 8001, 8002. A specifier cannot add, so with several forms each replica is written out.
//
// Commands around its life become ExecStartPre= and so on where those mean the same; on_give_up becomes a unit that
// OnFailure= starts, because systemd, too, calls a service failed only when it no longer restarts it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "importers/importers.h"
#include "model/service_spec.h"

namespace hearth::importers {

struct Exported {
  std::string name;  // "blog-web.service"
  std::string text;
};

// Of the services that are `wanted`, in their order. Dependencies name each other's units, written or not. `findings`:
// what systemd has no counterpart for.
std::vector<Exported> export_systemd(const Document& document, const std::function<bool(const ServiceSpec&)>& wanted,
                                     std::vector<Finding>& findings);

}  // namespace hearth::importers
