#include "tasks.h"

#include <map>

#include "mobileseg/error.h"

namespace mobileseg {

// Each is defined in the task's own file.
const Task& semantic_task();
const Task& instance_task();
const Task& video_task();

namespace {

std::map<std::string, const Task*>& table() {
  static std::map<std::string, const Task*> rows = {
      {"instance", &instance_task()},
      {"semantic", &semantic_task()},
      {"video", &video_task()},
  };
  return rows;
}

}  // namespace

void Pipeline::track(const TrackingOptions& /*options*/) {
  throw Error(ErrorKind::kUsage, "the model finds no objects that could be tracked",
              "leave tracking out, or use an instance segmentation model");
}

void Pipeline::smooth(double /*weight*/) {
  throw Error(ErrorKind::kUsage, "the model finds objects, whose labels are not smoothed",
              "leave smoothing out");
}

const Task& task_of(const std::string& name) {
  const auto found = table().find(name);
  if (found != table().end()) return *found->second;
  std::string known;
  for (const auto& row : table()) known += (known.empty() ? "" : ", ") + row.first;
  throw Error(ErrorKind::kRuntime, "there is no task '" + name + "', this program has " + known,
              "use a program of the version that exported the folder");
}

const char* unnamed_task() {
  return "semantic";
}

void add_task(const std::string& name, const Task& task) {
  table()[name] = &task;
}

}  // namespace mobileseg
