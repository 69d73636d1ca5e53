// The addon of nft-js: system calls and file descriptors, nothing else. Wire formats and policy are
// in the TypeScript beside it. Usable from several JavaScript threads at once: all state is in the
// Environment of each.
#include "napi.h"

namespace nft {
namespace {

napi_value initialize(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  napi_valuetype type = napi_undefined;
  if (arguments.value(0)) napi_typeof(env, arguments.value(0), &type);
  if (type != napi_function) return raise_type(env, "a function was expected");
  Environment* environment = environment_of(env);
  if (environment->make_error) napi_delete_reference(env, environment->make_error);
  napi_create_reference(env, arguments.value(0), 1, &environment->make_error);
  return undefined(env);
}

// libuv handles take a turn of the loop to close: the environment waits for them here.
void cleanup(napi_async_cleanup_hook_handle, void* data) {
  auto* environment = static_cast<Environment*>(data);
  environment->ending = true;
  if (environment->make_error) napi_delete_reference(environment->env, environment->make_error);
  environment->make_error = nullptr;
  close_sockets(environment);
  finish_environment(environment);
}

}  // namespace

void finish_environment(Environment* environment) {
  if (!environment->ending || environment->closing > 0 || environment->working > 0) return;
  napi_remove_async_cleanup_hook(environment->cleanup);
  delete environment;
}

}  // namespace nft

NAPI_MODULE_INIT() {
  auto* environment = new nft::Environment();
  environment->env = env;
  napi_set_instance_data(env, environment, nullptr, nullptr);
  napi_add_async_cleanup_hook(env, nft::cleanup, environment, &environment->cleanup);
  // Called once, before anything else, with (errno, syscall, detail) => Error.
  nft::define(env, exports, "initialize", nft::initialize);
  nft::define_sockets(env, exports);
  nft::define_datagrams(env, exports);
  nft::define_namespaces(env, exports);
  nft::define_mounts(env, exports);
  nft::define_terminals(env, exports);
  return exports;
}
