// What every file of the addon shares: errors, argument reading, descriptors, and work off the main
// thread. Work (Job::run) never sees a napi_env; results are made on the JavaScript thread.
#pragma once

#include <node_api.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

struct Socket;

// What one JavaScript environment (main thread or worker) owns. Lives until its last socket is
// closed and its last job done, which its asynchronous cleanup hook waits for.
struct Environment {
  napi_env env = nullptr;
  napi_ref make_error = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  Socket* sockets = nullptr;
  int closing = 0;
  int working = 0;
  bool ending = false;
};

Environment* environment_of(napi_env env);
// After the environment's end began, and once nothing of it is left: lets it go.
void finish_environment(Environment* environment);

napi_value error_of(napi_env env, const Failure& failure);
// Throws the SysError; returns null for `return raise(...)`.
napi_value raise(napi_env env, const Failure& failure);
// Throws a TypeError for an argument of the wrong kind.
napi_value raise_type(napi_env env, const char* what);

// Arguments of one call. A wrong kind throws and makes `ok` false; read them all, then test it.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info);
  int32_t integer(size_t index);
  uint32_t natural(size_t index);
  std::string text(size_t index);
  // Absent, null and undefined are empty.
  std::string text_or_empty(size_t index);
  std::vector<std::string> texts(size_t index);
  // Points into the ArrayBuffer: valid during this call only.
  std::pair<uint8_t*, size_t> bytes(size_t index);
  napi_value value(size_t index) const { return index < count_ ? values_[index] : nullptr; }
  bool ok() const { return ok_; }

 private:
  void wrong(const char* what);
  std::string text_of(napi_value value);
  napi_env env_;
  napi_value values_[8];
  size_t count_ = 8;
  bool ok_ = true;
};

napi_value integer(napi_env env, int64_t value);
napi_value undefined(napi_env env);

// One piece of blocking work behind a promise. `run` is called on a thread of libuv's pool.
class Job {
 public:
  virtual ~Job() = default;
  virtual Failure run() = 0;
  // On the JavaScript thread, after a successful run.
  virtual napi_value result(napi_env env) { return undefined(env); }
  // The result reached JavaScript: give up ownership of what it holds.
  virtual void delivered() {}
};

napi_value promise_of(napi_env env, std::unique_ptr<Job> job);

// Runs a function on a new thread that ends with it: for setns and unshare, which change the thread
// that calls them for good.
using Body = Failure (*)(void* context);
Failure on_own_thread(Body body, void* context);

// Joins the namespace at `path`, of the type CLONE_NEW*; for use on an own thread.
Failure enter(const std::string& path, int type);

void define(napi_env env, napi_value exports, const char* name, napi_callback callback);
void define_sockets(napi_env env, napi_value exports);
void define_datagrams(napi_env env, napi_value exports);
void define_namespaces(napi_env env, napi_value exports);
void define_mounts(napi_env env, napi_value exports);
void define_terminals(napi_env env, napi_value exports);
void close_sockets(Environment* environment);
// Of the open socket of an argument, or -1 with an exception pending.
int descriptor_of(napi_env env, const Arguments& arguments, size_t index);

}  // namespace nft
