#include "system.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

namespace nft {
namespace {

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

}  // namespace nft
