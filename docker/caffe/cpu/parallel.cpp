#include "parallel.hpp"

#include <cblas.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace lrcn {

namespace {

const double worth_waking = 2e5;  // operations, in about the time that it takes to wake a thread

// Threads that sleep until there is work. Never destroyed: at exit they sleep on, and nothing waits for them.
class Pool {
 public:
  // This process's own: a fork has none of its parent's threads.
  static Pool& here() {
    static Pool* pool = new Pool;
    static const int handler = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
    (void)handler;
    return *pool;
  }

  // False, with nothing done, where another thread of this process has the pool. Throws what a task threw, when no thread
  // is at work any more.
  bool run(int count, int threads, const std::function<void(int)>& task) {
    std::unique_lock<std::mutex> turn(in_use_, std::try_to_lock);
    if (!turn) return false;
    openblas_set_num_threads(1);
    std::unique_lock<std::mutex> guard(mutex_);
    const int helpers = std::min(threads, count) - 1;
    while (started_ < helpers && start()) ++started_;
    task_ = &task, count_ = count, next_ = 0;
    wanted_ = busy_ = std::min(started_, helpers);
    guard.unlock();
    wake_.notify_all();
    work();
    guard.lock();
    busy_ -= wanted_;  // those that have not woken yet are not waited for
    wanted_ = 0;
    done_.wait(guard, [this] { return busy_ == 0; });
    openblas_set_num_threads(threads);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return true;
  }

 private:
  // Signals are left to the threads that were there before.
  bool start() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_there = true;
    try {
      std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {  // no more threads for this process: it does with those that there are
      is_there = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return is_there;
  }

  void serve() {
    std::unique_lock<std::mutex> guard(mutex_);
    for (;;) {
      wake_.wait(guard, [this] { return wanted_ > 0; });
      --wanted_;
      guard.unlock();
      work();
      guard.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void work() {
    try {
      for (int index; (index = next_++) < count_;) (*task_)(index);
    } catch (...) {  // no memory
      std::lock_guard<std::mutex> guard(mutex_);
      failure_ = std::current_exception();
      next_ = count_;
    }
  }

  std::mutex in_use_, mutex_;
  std::condition_variable wake_, done_;
  int started_ = 0, wanted_ = 0, busy_ = 0, count_ = 0;
  std::atomic<int> next_{0};
  const std::function<void(int)>* task_ = nullptr;
  std::exception_ptr failure_;
};

}  // namespace

void in_parallel(int count, double operations, const std::function<void(int)>& task) {
  const int threads = openblas_get_num_threads();
  if (threads > 1 && operations > worth_waking && Pool::here().run(count, threads, task)) return;
  for (int index = 0; index < count; ++index) task(index);
}

}  // namespace lrcn
