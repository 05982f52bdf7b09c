// What a task whose frames hold objects has in common with the one of objects in an image.
#ifndef MOBILESEG_SRC_INSTANCE_TASK_H_
#define MOBILESEG_SRC_INSTANCE_TASK_H_

#include <string>

#include "task.h"
#include "tracker.h"

namespace mobileseg {

const Task& instance_task();

// What is wrong with the outputs and the settings of a manifest that is to give objects, '' when nothing is;
// the pipelines are the task's own.
std::string detection_problem(const Manifest& manifest);

// Gives the objects of the next frame ids, and leaves out those that belong to no track.
void follow(Tracker* tracker, Result* result);

// Leaves out the objects without an id.
void drop_untracked(Result* result);

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_INSTANCE_TASK_H_
