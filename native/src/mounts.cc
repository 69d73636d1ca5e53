// mount(2), umount2(2), setxattr(2), mknod(2), openat2(2): what Node's own fs cannot do.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "addon.h"

namespace nft {
namespace {

// Work in the mount namespace at a path, or, where that is empty, in the process's own.
class MountNamespaceJob : public Job {
 public:
  using Job::Job;
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
  using MountNamespaceJob::MountNamespaceJob;
  std::string source, target, type, data;
  unsigned long flags = 0;
  Failure change() override {
    if (::mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), flags, data.empty() ? nullptr : data.c_str()) != 0)
      return failed("mount", source + " on " + target);
    return {};
  }
};

// (source, target, type, flags, data, mnt)
Napi::Value mount(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto job = std::make_unique<MountJob>(env);
  job->source = arguments.text(0);
  job->target = arguments.text(1);
  job->type = arguments.text_or_empty(2);
  job->flags = arguments.natural(3);
  job->data = arguments.text_or_empty(4);
  job->mnt = arguments.text_or_empty(5);
  if (!arguments.ok()) return {};
  return promise_of(std::move(job));
}

class UnmountJob : public MountNamespaceJob {
 public:
  UnmountJob(Napi::Env env, std::string target, int flags) : MountNamespaceJob(env), target_(std::move(target)), flags_(flags) {}
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
Napi::Value unmount(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string target = arguments.text(0);
  int detach = arguments.integer(1);
  auto job = std::make_unique<UnmountJob>(env, std::move(target), detach ? MNT_DETACH : 0);
  job->mnt = arguments.text_or_empty(2);
  if (!arguments.ok()) return {};
  return promise_of(std::move(job));
}

// (path, name, value): on the path itself, never on what a symlink points at. In place: one quick call.
Napi::Value set_xattr(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string path = arguments.text(0), name = arguments.text(1);
  auto [data, length] = arguments.bytes(2);
  if (!arguments.ok()) return {};
  if (lsetxattr(path.c_str(), name.c_str(), data, length, 0) != 0) return raise(env, failed("lsetxattr", name + " on " + path));
  return env.Undefined();
}

// (path, mode with the type bits, major, minor)
Napi::Value make_node(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string path = arguments.text(0);
  uint32_t mode = arguments.natural(1), major = arguments.natural(2), minor = arguments.natural(3);
  if (!arguments.ok()) return {};
  if (mknod(path.c_str(), mode, makedev(major, minor)) != 0) return raise(env, failed("mknod", path));
  return env.Undefined();
}

// What is at a path below an open folder. The kernel looks the whole path up in one go: no link, and nothing
// that changes meanwhile, leads out of the folder (EXDEV) or through /proc's magic links (ELOOP).
class OpenBeneathJob : public Job {
 public:
  using Job::Job;
  int folder = -1;
  std::string path;
  uint64_t flags = 0;

  Failure run() override {
    open_how how = {};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    opened_ = Fd(static_cast<int>(syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how)));
    return opened_ ? Failure{} : failed("openat2", path);
  }
  Napi::Value result(Napi::Env env) override { return Napi::Number::New(env, opened_.release()); }

 private:
  Fd opened_;
};

// (folder, path, flags) => a descriptor, which is the caller's to close
Napi::Value open_beneath(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto job = std::make_unique<OpenBeneathJob>(env);
  job->folder = arguments.integer(0);
  job->path = arguments.text(1);
  job->flags = arguments.natural(2);
  if (!arguments.ok()) return {};
  return promise_of(std::move(job));
}

}  // namespace

void define_mounts(Napi::Object exports) {
  define(exports, "mount", mount);
  define(exports, "unmount", unmount);
  define(exports, "setXattr", set_xattr);
  define(exports, "makeNode", make_node);
  define(exports, "openBeneath", open_beneath);
}

}  // namespace nft
