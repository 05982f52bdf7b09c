// The table of tasks.
#ifndef MOBILESEG_SRC_TASKS_H_
#define MOBILESEG_SRC_TASKS_H_

#include <string>

#include "task.h"

namespace mobileseg {

// Throws Error(kRuntime) when there is none of that name.
const Task& task_of(const std::string& name);

// Of manifests that name none: there was but one task when they were written.
const char* unnamed_task();

// Adds a row; the task must outlive every use.
void add_task(const std::string& name, const Task& task);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_TASKS_H_
