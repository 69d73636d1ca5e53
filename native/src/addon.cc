// The addon of nft-js: system calls and file descriptors, nothing else. Wire formats and policy are
// in the TypeScript beside it. Usable from several JavaScript threads at once: all state is in the
// Environment of each.
#include "addon.h"

namespace nft {

Environment* environment_of(Napi::Env env) { return env.GetInstanceData<Environment>(); }

Napi::Value error_of(Napi::Env env, const Failure& failure) {
  return environment_of(env)->make_error.Call(
      {Napi::Number::New(env, failure.error), Napi::String::New(env, failure.syscall), Napi::String::New(env, failure.detail)});
}

Napi::Value raise(Napi::Env env, const Failure& failure) {
  Napi::Value error = error_of(env, failure);
  if (!error.IsEmpty()) Napi::Error(env, error).ThrowAsJavaScriptException();
  return Napi::Value();
}

Napi::Value raise_type(Napi::Env env, const char* what) {
  Napi::TypeError::New(env, what).ThrowAsJavaScriptException();
  return Napi::Value();
}

void Job::OnOK() {
  // Nobody can be told any more; the destructor lets go of what the job made.
  if (environment_of(Env())->ending) return;
  if (failure_) {
    Napi::Value error = error_of(Env(), failure_);
    if (!error.IsEmpty()) deferred_->Reject(error);
  } else {
    Napi::Value value = result(Env());
    if (!value.IsEmpty()) deferred_->Resolve(value);
  }
}

void Job::Destroy() {
  Environment* environment = environment_of(Env());
  delete this;
  environment->working--;
  finish_environment(environment);
}

Napi::Value promise_of(std::unique_ptr<Job> job) {
  environment_of(job->Env())->working++;
  job->deferred_ = Napi::Promise::Deferred::New(job->Env());
  Napi::Value promise = job->deferred_->Promise();
  job.release()->Queue();
  return promise;
}

void finish_environment(Environment* environment) {
  if (!environment->ending || environment->closing > 0 || environment->working > 0) return;
  napi_remove_async_cleanup_hook(environment->cleanup);
  delete environment;
}

namespace {

Napi::Value initialize(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) return raise_type(info.Env(), "a function was expected");
  environment_of(info.Env())->make_error = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

// libuv handles take a turn of the loop to close: the environment waits for them here.
void cleanup(napi_async_cleanup_hook_handle, void* data) {
  auto* environment = static_cast<Environment*>(data);
  environment->ending = true;
  environment->make_error.Reset();
  close_sockets(environment);
  finish_environment(environment);
}

// The environment deletes itself: instance data is let go of before the last handle may be closed.
void keep(Napi::Env, Environment*) {}

Napi::Object load(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment, keep>(environment);
  // Node-API's own: node-addon-api wraps only the hook that cannot wait.
  napi_add_async_cleanup_hook(env, cleanup, environment, &environment->cleanup);
  // Called once, before anything else, with (errno, syscall, detail) => Error.
  define(exports, "initialize", initialize);
  define_sockets(exports);
  define_datagrams(exports);
  define_namespaces(exports);
  define_mounts(exports);
  define_terminals(exports);
  return exports;
}

}  // namespace
}  // namespace nft

namespace {
Napi::Object load(Napi::Env env, Napi::Object exports) { return nft::load(env, exports); }
}  // namespace

NODE_API_MODULE(nft, load)
