// A cgroup v2 leaf per run, where the machine lets us have one.
//
// Leaves stand below our own cgroup: OWN/hearth.HASH/LABEL.RUN, where HASH tells instances apart. Names are never
// used again, since cgroup.kill and a new process in the same leaf would race. rmdir is the proof that a leaf is
// empty (zombies do not count); EBUSY means that something is left.
//
// Our own cgroup may not be that of the hearth which made the leaf: all of it has died, and the next one was started
// from another session, or found no tree where that one had one. So a leaf that is not in our tree is not one that is
// empty. Where a process of the run still is in it, that one's path says where it stands (above_tree(), open_at()).
//
// In most containers cgroups are read-only, and a login session owns no subtree: then there is no tree, and
// containment is "sweep" (sweep.h).
//
// Limits (E4) are files of a leaf, and are there when the tree has the controller that keeps them. Which it has is read
// when it is opened; one that it has not is asked for when a service wants it, and after a refusal not again for a
// minute. What is told of limits (missing()) is from memory: a status of hundreds of services reads and writes no file
// for it. A cgroup gives controllers to those below it only while no process is in itself; hearth is in its own, and
// moves nobody. So there are some where our cgroup is the root of the hierarchy, or gives them already, or where we
// were started in a subgroup of what was delegated to us: systemd's DelegateSubgroup=, which marks the cgroup above by
// an attribute. There the tree stands beside our cgroup and not below it. Anywhere else limits are not held, and
// missing() says so; processes are contained as ever.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/service_spec.h"
#include "os/fd.h"

namespace hearth::os {

// Where the v2 hierarchy is mounted and where in it a process stands. Read from text so that every kind of host
// can be tested on any.
struct CgroupPlace {
  std::string mount;  // mount point of the v2 hierarchy; "" = none
  std::string root;   // what of the hierarchy is mounted there
  std::string own;    // path of the process in the hierarchy

  // Directory of the process's own cgroup below the mount; "" when it cannot be seen from here.
  std::string directory() const;
};
CgroupPlace parse_cgroup_place(const std::string& mountinfo, const std::string& cgroup);

// Of a subgroup that a manager has made for us in what it delegates: the cgroup above it; else `own` itself. `marked`:
// has this directory the attribute of what is delegated?
using IsDelegated = std::function<bool(const std::string& directory)>;
std::string above_subgroup(const std::string& own, const IsDelegated& marked);

// Asks for a controller, by writing into files: `write` answers false where it is refused. Of the tree itself; where
// that has none to give, of the cgroup above and then of the tree once more. Paths are from the tree.
bool ask_for_controller(const std::function<bool(const std::string& file)>& write);

class CgroupTree {
 public:
  static constexpr SpanNs asks_again_after = seconds(60);

  CgroupTree() = default;  // no tree: everything answers "nothing there"

  // Tries to create and use the tree of this instance (`directory` names it). Without one, why() says why not.
  enum class Missing { create, leave };
  static CgroupTree open(const std::string& instance_directory, Missing missing = Missing::create);
  // The same below a cgroup, by its path in the hierarchy: the tree that a hearth started from there has made.
  static CgroupTree open_at(const std::string& cgroup, const std::string& instance_directory);
  // The same below a given directory.
  static CgroupTree open_below(const std::string& parent, const std::string& instance_directory,
                               Missing missing = Missing::create);
  // Removes the tree itself, if nothing is in it. When the instance ends.
  void remove() const;

  bool usable() const { return static_cast<bool>(tree_); }
  const std::string& why() const { return why_; }
  // Whether one could be used was not to be told, because descriptors or memory were short.
  bool scarce() const { return scarce_; }
  const std::string& path() const { return path_; }

  // Makes the leaf, or opens it when it is there. O_DIRECTORY descriptor for CLONE_INTO_CGROUP.
  Result<Fd> make_leaf(const std::string& label, RunId run) const;
  // Asks for the controllers that these need, where they are not given.
  void want(const CgroupLimits& limits, MonoNs now);
  // What a run may use, before something runs in its leaf. What cannot be set is left, and remembered for missing().
  void limit(const Fd& leaf, const CgroupLimits& limits, MonoNs now);
  // Which of them do not hold here, and why; "" = all do. By what want() and limit() found last.
  std::string missing(const CgroupLimits& limits) const;
  // Controllers that limits need and that are not handed on to the tree now. Asks for none.
  std::vector<std::string> not_handed_on() const;

  enum class Removed { gone, absent, busy, failed };
  // gone: it was there, with nobody in it. absent: there is none here, which says nothing of the run. failed: it cannot
  // be removed, and why is of no use here.
  Removed remove_leaf(const std::string& label, RunId run) const;
  // False: there certainly is none here.
  bool has_leaf(const std::string& label, RunId run) const;
  // SIGKILL to everything in it (cgroup.kill, Linux 5.14); false where the kernel has none.
  bool kill_leaf(const std::string& label, RunId run) const;
  // PIDs in the leaf and in what is below it. `all`: false when there may be more, which cannot be seen now for want of
  // a descriptor or of memory: that none is seen does not mean then that none is there.
  std::vector<int> processes(const std::string& label, RunId run, bool* all = nullptr) const;
  // Leaves that are there, by name.
  std::vector<std::string> leaves() const;

 private:
  void read_given();

  std::string path_;
  std::string why_;
  bool scarce_ = false;
  Fd tree_;
  std::set<std::string, std::less<>> given_;    // controllers that the leaves have
  std::map<std::string, MonoNs> asked_;         // for a controller in vain, when
  std::map<std::string, std::string> refused_;  // key of a limit, and why it could not be set the last time
};

std::string leaf_name(const std::string& label, RunId run);
// "hearth.HASH", of that instance.
std::string tree_name(const std::string& instance_directory);
// The cgroup in which the tree stands that has this leaf, by the path of who is in the leaf or below it, as
// /proc/PID/cgroup has it; "/" is the root. "" = it is not in that leaf.
std::string above_tree(const std::string& path, const std::string& tree_name, const std::string& leaf_name);

}  // namespace hearth::os
