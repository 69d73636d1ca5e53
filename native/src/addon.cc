// The addon of nft-js: system calls and file descriptors, nothing else. Wire formats and policy are
// in the TypeScript beside it. Usable from several JavaScript threads at once: all state is in the
// Environment of each.
#include "addon.h"

namespace nft {

Environment* environment_of(Napi::Env env) { return env.GetInstanceData<Environment>(); }

// Where a worker may be ending, Node-API itself is called and its word passed over: node-addon-api would make an
// Error of it, for which there is no JavaScript any more.
Napi::Value error_of(Napi::Env env, const Failure& failure) {
  napi_value arguments[] = {Napi::Number::New(env, failure.error), Napi::String::New(env, failure.syscall),
                            Napi::String::New(env, failure.detail)};
  napi_value error = nullptr;
  if (napi_call_function(env, env.Undefined(), environment_of(env)->make_error.Value(), 3, arguments, &error) != napi_ok) return {};
  return {env, error};
}

Napi::Value raise(Napi::Env env, const Failure& failure) {
  Napi::Value error = error_of(env, failure);
  if (!error.IsEmpty()) napi_throw(env, error);
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
    if (!error.IsEmpty()) napi_reject_deferred(Env(), deferred_, error);
  } else {
    Napi::Value value = result(Env());
    if (!value.IsEmpty()) napi_resolve_deferred(Env(), deferred_, value);
  }
}

void Job::Destroy() {
  Environment* environment = environment_of(Env());
  delete this;
  environment->working--;
  finish_environment(environment);
}

Napi::Value promise_of(std::unique_ptr<Job> job) {
  Napi::Env env = job->Env();
  napi_value promise = nullptr;
  if (napi_create_promise(env, &job->deferred_, &promise) != napi_ok) return {};
  environment_of(env)->working++;
  job.release()->Queue();
  return {env, promise};
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
