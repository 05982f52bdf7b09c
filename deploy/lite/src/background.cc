#include "background.h"

namespace mobileseg {

Background::~Background() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    wait_until_idle(&lock);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::start(Job* job) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    wait_until_idle(&lock);
    job_ = job;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.notify_all();
}

void Background::wait(const Job* job) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (job_ == job) wait_until_idle(&lock);
}

void Background::wait_for_graph(const std::string& graph) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (job_ != nullptr && job_->runs(graph)) wait_until_idle(&lock);
}

void Background::wait_until_idle(std::unique_lock<std::mutex>* lock) {
  changed_.wait(*lock, [this] { return job_ == nullptr; });
}

void Background::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return job_ != nullptr || ending_; });
    if (job_ == nullptr) return;
    Job* job = job_;
    lock.unlock();
    job->run();
    lock.lock();
    job_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace mobileseg
