// What every file of the addon shares: the state of one JavaScript environment, errors, and work off its
// thread. Work (Job::run) never sees JavaScript; results are made on the JavaScript thread.
#pragma once

#include <napi.h>

#include <memory>

#include "arguments.h"
#include "system.h"

namespace nft {

struct Socket;

// What one JavaScript environment (main thread or worker) owns. Lives until its last socket is
// closed and its last job done, which its asynchronous cleanup hook waits for.
struct Environment {
  explicit Environment(Napi::Env env) : env(env) {}
  Napi::Env env;
  // (errno, syscall, detail) => Error
  Napi::FunctionReference make_error;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  Socket* sockets = nullptr;
  int closing = 0;
  int working = 0;
  bool ending = false;
};

Environment* environment_of(Napi::Env env);
// After the environment's end began, and once nothing of it is left: lets it go.
void finish_environment(Environment* environment);

// The SysError of a failure; empty with an exception pending where it could not be made.
Napi::Value error_of(Napi::Env env, const Failure& failure);
// Throws the SysError; returns nothing for `return raise(...)`.
Napi::Value raise(Napi::Env env, const Failure& failure);
// Throws a TypeError for an argument of the wrong kind.
Napi::Value raise_type(Napi::Env env, const char* what);

// One piece of blocking work behind a promise. `run` is called on a thread of libuv's pool.
class Job : public Napi::AsyncWorker {
 public:
  explicit Job(Napi::Env env) : AsyncWorker(env, "nft-js") {}
  virtual Failure run() = 0;
  // On the JavaScript thread, after a successful run.
  virtual Napi::Value result(Napi::Env env) { return env.Undefined(); }

 private:
  friend Napi::Value promise_of(std::unique_ptr<Job> job);
  void Execute() override { failure_ = run(); }
  void OnOK() override;
  void Destroy() override;
  // Made when the job is queued: one that is never settled is never freed.
  napi_deferred deferred_ = nullptr;
  Failure failure_;
};

// Queues the job, which deletes itself when it is done.
Napi::Value promise_of(std::unique_ptr<Job> job);

using Call = Napi::Value (*)(const Napi::CallbackInfo& info);
inline void define(Napi::Object exports, const char* name, Call call) { exports.Set(name, Napi::Function::New(exports.Env(), call, name)); }

void define_sockets(Napi::Object exports);
void define_datagrams(Napi::Object exports);
void define_namespaces(Napi::Object exports);
void define_mounts(Napi::Object exports);
void define_terminals(Napi::Object exports);
void close_sockets(Environment* environment);
// Of the open socket of an argument, or -1 with an exception pending.
int descriptor_of(const Arguments& arguments, size_t index);

}  // namespace nft
