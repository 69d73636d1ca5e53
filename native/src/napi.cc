#include "napi.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

namespace nft {

Environment* environment_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Environment*>(data);
}

napi_value error_of(napi_env env, const Failure& failure) {
  napi_value make = nullptr, receiver = nullptr, error = nullptr;
  napi_value arguments[3];
  napi_get_reference_value(env, environment_of(env)->make_error, &make);
  napi_get_undefined(env, &receiver);
  napi_create_int32(env, failure.error, &arguments[0]);
  napi_create_string_utf8(env, failure.syscall, NAPI_AUTO_LENGTH, &arguments[1]);
  napi_create_string_utf8(env, failure.detail.data(), failure.detail.size(), &arguments[2]);
  if (napi_call_function(env, receiver, make, 3, arguments, &error) != napi_ok) return nullptr;
  return error;
}

napi_value raise(napi_env env, const Failure& failure) {
  if (napi_value error = error_of(env, failure)) napi_throw(env, error);
  return nullptr;
}

napi_value raise_type(napi_env env, const char* what) {
  napi_throw_type_error(env, nullptr, what);
  return nullptr;
}

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
  napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
  if (count_ > 8) count_ = 8;
}

void Arguments::wrong(const char* what) {
  if (ok_) raise_type(env_, what);
  ok_ = false;
}

int32_t Arguments::integer(size_t index) {
  int32_t result = 0;
  if (index >= count_ || napi_get_value_int32(env_, values_[index], &result) != napi_ok) wrong("an integer was expected");
  return result;
}

uint32_t Arguments::natural(size_t index) {
  uint32_t result = 0;
  if (index >= count_ || napi_get_value_uint32(env_, values_[index], &result) != napi_ok) wrong("an integer was expected");
  return result;
}

std::string Arguments::text_of(napi_value value) {
  size_t length = 0;
  if (!value || napi_get_value_string_utf8(env_, value, nullptr, 0, &length) != napi_ok) {
    wrong("a string was expected");
    return "";
  }
  std::string result(length, '\0');
  napi_get_value_string_utf8(env_, value, result.data(), length + 1, &length);
  // A path that ends early would name something else than was asked for.
  if (result.find('\0') != std::string::npos) wrong("a string without NUL was expected");
  return result;
}

std::string Arguments::text(size_t index) { return text_of(value(index)); }

std::vector<std::string> Arguments::texts(size_t index) {
  std::vector<std::string> result;
  uint32_t length = 0;
  if (!value(index) || napi_get_array_length(env_, value(index), &length) != napi_ok) {
    wrong("an array of strings was expected");
    return result;
  }
  for (uint32_t i = 0; i < length && ok_; i++) {
    napi_value element = nullptr;
    napi_get_element(env_, value(index), i, &element);
    result.push_back(text_of(element));
  }
  return result;
}

std::string Arguments::text_or_empty(size_t index) {
  napi_valuetype type = napi_undefined;
  if (index < count_) napi_typeof(env_, values_[index], &type);
  return type == napi_undefined || type == napi_null ? "" : text(index);
}

std::pair<uint8_t*, size_t> Arguments::bytes(size_t index) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (index >= count_ || napi_get_typedarray_info(env_, values_[index], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    wrong("a Uint8Array was expected");
    return {nullptr, 0};
  }
  return {static_cast<uint8_t*>(data), length};
}

napi_value integer(napi_env env, int64_t value) {
  napi_value result = nullptr;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value undefined(napi_env env) {
  napi_value result = nullptr;
  napi_get_undefined(env, &result);
  return result;
}

namespace {

struct Work {
  std::unique_ptr<Job> job;
  Failure failure;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

void execute(napi_env, void* data) {
  auto* work = static_cast<Work*>(data);
  work->failure = work->job->run();
}

void complete(napi_env env, napi_status status, void* data) {
  std::unique_ptr<Work> work(static_cast<Work*>(data));
  Environment* environment = environment_of(env);
  environment->working--;
  // Nobody can be told any more; the job's destructor lets go of what it made.
  if (environment->ending) {
    napi_delete_async_work(env, work->work);
    return finish_environment(environment);
  }
  if (status == napi_cancelled) work->failure = Failure{ECANCELED, "", ""};
  if (work->failure) {
    if (napi_value error = error_of(env, work->failure)) napi_reject_deferred(env, work->deferred, error);
  } else if (napi_value result = work->job->result(env)) {
    if (napi_resolve_deferred(env, work->deferred, result) == napi_ok) work->job->delivered();
  }
  napi_delete_async_work(env, work->work);
}

struct OwnThread {
  Body body;
  void* context;
  Failure failure;
};

void* thread_main(void* data) {
  auto* own = static_cast<OwnThread*>(data);
  own->failure = own->body(own->context);
  return nullptr;
}

}  // namespace

napi_value promise_of(napi_env env, std::unique_ptr<Job> job) {
  auto work = std::make_unique<Work>();
  work->job = std::move(job);
  napi_value promise = nullptr, name = nullptr;
  napi_create_string_utf8(env, "nft-js", NAPI_AUTO_LENGTH, &name);
  if (napi_create_promise(env, &work->deferred, &promise) != napi_ok) return nullptr;
  if (napi_create_async_work(env, nullptr, name, execute, complete, work.get(), &work->work) != napi_ok) return nullptr;
  if (napi_queue_async_work(env, work->work) != napi_ok) return nullptr;
  work.release();
  environment_of(env)->working++;
  return promise;
}

Failure on_own_thread(Body body, void* context) {
  OwnThread own{body, context, {}};
  pthread_t thread;
  if (int error = pthread_create(&thread, nullptr, thread_main, &own)) return Failure{error, "pthread_create", ""};
  pthread_join(thread, nullptr);
  return own.failure;
}

Failure enter(const std::string& path, int type) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failed("open", path);
  // Threads share their working directory and root, which a mount namespace changes.
  if (type == CLONE_NEWNS && unshare(CLONE_FS) != 0) return failed("unshare", path);
  if (setns(fd.get(), type) != 0) return failed("setns", path);
  return {};
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace nft
