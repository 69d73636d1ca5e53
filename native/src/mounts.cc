// mount(2), umount2(2), setxattr(2), mknod(2): what Node's own fs cannot do.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "napi.h"

namespace nft {
namespace {

// Work in the mount namespace at a path, or, where that is empty, in the process's own.
class MountNamespaceJob : public Job {
 public:
  std::string mnt;
  Failure run() override {
    if (mnt.empty()) return change();
    return on_own_thread(
        [](void* self) {
          auto* job = static_cast<MountNamespaceJob*>(self);
          if (Failure failure = enter(job->mnt, CLONE_NEWNS)) return failure;
          return job->change();
        },
        this);
  }
  virtual Failure change() = 0;
};

class MountJob : public MountNamespaceJob {
 public:
  std::string source, target, type, data;
  unsigned long flags = 0;
  Failure change() override {
    if (::mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), flags, data.empty() ? nullptr : data.c_str()) != 0)
      return failed("mount", source + " on " + target);
    return {};
  }
};

// (source, target, type, flags, data, mnt)
napi_value mount(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto job = std::make_unique<MountJob>();
  job->source = arguments.text(0);
  job->target = arguments.text(1);
  job->type = arguments.text_or_empty(2);
  job->flags = arguments.natural(3);
  job->data = arguments.text_or_empty(4);
  job->mnt = arguments.text_or_empty(5);
  if (!arguments.ok()) return nullptr;
  return promise_of(env, std::move(job));
}

class UnmountJob : public MountNamespaceJob {
 public:
  UnmountJob(std::string target, int flags) : target_(std::move(target)), flags_(flags) {}
  Failure change() override {
    // EINVAL: not a mount point.
    if (umount2(target_.c_str(), flags_ | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT && errno != ENOTDIR)
      return failed("umount2", target_);
    return {};
  }

 private:
  std::string target_;
  int flags_;
};

// (target, detach, mnt)
napi_value unmount(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string target = arguments.text(0);
  int detach = arguments.integer(1);
  auto job = std::make_unique<UnmountJob>(std::move(target), detach ? MNT_DETACH : 0);
  job->mnt = arguments.text_or_empty(2);
  if (!arguments.ok()) return nullptr;
  return promise_of(env, std::move(job));
}

// (path, name, value): on the path itself, never on what a symlink points at. In place: one quick call.
napi_value set_xattr(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path = arguments.text(0), name = arguments.text(1);
  auto [data, length] = arguments.bytes(2);
  if (!arguments.ok()) return nullptr;
  if (lsetxattr(path.c_str(), name.c_str(), data, length, 0) != 0) return raise(env, failed("lsetxattr", name + " on " + path));
  return undefined(env);
}

// (path, mode with the type bits, major, minor)
napi_value make_node(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string path = arguments.text(0);
  uint32_t mode = arguments.natural(1), major = arguments.natural(2), minor = arguments.natural(3);
  if (!arguments.ok()) return nullptr;
  if (mknod(path.c_str(), mode, makedev(major, minor)) != 0) return raise(env, failed("mknod", path));
  return undefined(env);
}

}  // namespace

void define_mounts(napi_env env, napi_value exports) {
  define(env, exports, "mount", mount);
  define(env, exports, "unmount", unmount);
  define(env, exports, "setXattr", set_xattr);
  define(env, exports, "makeNode", make_node);
}

}  // namespace nft
