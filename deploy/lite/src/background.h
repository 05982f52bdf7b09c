// A second thread, for graphs of key frames that are computed while other frames go on.
#ifndef MOBILESEG_SRC_BACKGROUND_H_
#define MOBILESEG_SRC_BACKGROUND_H_

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace mobileseg {

// Runs one job at a time. The thread is made for the first one. All methods are for the thread of the frames.
class Background {
 public:
  class Job {
   public:
    virtual ~Job() = default;
    virtual bool runs(const std::string& graph) const = 0;
    virtual void run() noexcept = 0;
  };

  Background() = default;
  ~Background();  // waits for the job
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Begins a job as soon as the one before has ended. It must live until it has ended.
  void start(Job* job);
  // Waits until this job has ended; at once when it is not the running one.
  void wait(const Job* job);
  // Waits until no job runs this graph: an engine's graph is for one thread at a time.
  void wait_for_graph(const std::string& graph);

 private:
  void work();
  void wait_until_idle(std::unique_lock<std::mutex>* lock);

  std::mutex mutex_;
  std::condition_variable changed_;
  Job* job_ = nullptr;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace mobileseg

#endif  // MOBILESEG_SRC_BACKGROUND_H_
