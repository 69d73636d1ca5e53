// What system calls work with: their failures, file descriptors, and threads of their own. Knows nothing of JavaScript.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace nft {

// A system call that failed: errno, its name, and what it was asked.
struct Failure {
  int error = 0;
  const char* syscall = "";
  std::string detail;
  explicit operator bool() const { return error != 0; }
};

inline Failure failed(const char* syscall, std::string detail = "") { return Failure{errno, syscall, std::move(detail)}; }

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// Runs a function on a new thread that ends with it: for setns and unshare, which change the thread
// that calls them for good.
using Body = Failure (*)(void* context);
Failure on_own_thread(Body body, void* context);

// Joins the namespace at `path`, of the type CLONE_NEW*; for use on an own thread.
Failure enter(const std::string& path, int type);

}  // namespace nft
