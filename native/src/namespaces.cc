// Namespaces that outlive any process: made on a thread of their own, pinned by a bind mount of
// /proc/thread-self/ns/* (namespaces(7)).
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <cstring>
#include <vector>

#include "addon.h"

namespace nft {
namespace {

// statfs(2) f_type of a pinned namespace: NSFS_MAGIC of linux/magic.h.
constexpr long nsfs = 0x6e736673;

struct Kind {
  int flag;
  const char* self;
};
constexpr Kind kinds[] = {
    {CLONE_NEWNET, "/proc/thread-self/ns/net"}, {CLONE_NEWIPC, "/proc/thread-self/ns/ipc"}, {CLONE_NEWUTS, "/proc/thread-self/ns/uts"}};

bool is_pinned(const std::string& path) {
  struct statfs info;
  return statfs(path.c_str(), &info) == 0 && info.f_type == nsfs;
}

Failure unpin(const std::string& path) {
  // EINVAL: not a mount point. A path may be pinned twice after a crash between two mounts.
  while (is_pinned(path)) {
    if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EINVAL || errno == ENOENT) break;
    return failed("umount2", path);
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return failed("unlink", path);
  return {};
}

Failure pin(const char* self, const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!file) return failed("open", path);
  if (mount(self, path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    Failure failure = failed("mount", path);
    unlink(path.c_str());
    return failure;
  }
  return {};
}

Failure bring_up_loopback() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failed("socket", "lo");
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  if (ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return failed("ioctl", "lo");
  request.ifr_flags |= IFF_UP;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return failed("ioctl", "lo");
  return {};
}

Failure write_file(const std::string& path, const std::string& value) {
  Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC));
  if (!file) return failed("open", path);
  if (write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) return failed("write", path);
  return {};
}

// Names with dots separate where they hold none themselves, as in sysctl(8): `a.b` and `a/b` are the same.
std::string sysctl_path(std::string name) {
  if (name.find('/') == std::string::npos)
    for (char& c : name)
      if (c == '.') c = '/';
  return "/proc/sys/" + name;
}

// A mount namespace is pinned from outside of it: a thread in it waits while this one mounts. Its own
// mounts are private, so that nothing done inside shows outside; the kernel refuses (EINVAL) to pin one
// where the mount would be passed on to other namespaces.
class MountNamespace {
 public:
  Failure create(const std::string& path) {
    sem_init(&ready_, 0, 0);
    sem_init(&pinned_, 0, 0);
    pthread_t thread;
    Failure failure;
    if (int error = pthread_create(&thread, nullptr, thread_main, this)) {
      failure = Failure{error, "pthread_create", ""};
    } else {
      wait(&ready_);
      failure = failure_ ? std::move(failure_) : pin(("/proc/self/task/" + std::to_string(tid_) + "/ns/mnt").c_str(), path);
      sem_post(&pinned_);
      pthread_join(thread, nullptr);
    }
    sem_destroy(&ready_);
    sem_destroy(&pinned_);
    return failure;
  }

 private:
  static void wait(sem_t* semaphore) {
    while (sem_wait(semaphore) != 0) {
    }
  }

  static void* thread_main(void* data) {
    auto* self = static_cast<MountNamespace*>(data);
    self->tid_ = static_cast<pid_t>(syscall(SYS_gettid));
    if (unshare(CLONE_NEWNS) != 0)
      self->failure_ = failed("unshare");
    else if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      self->failure_ = failed("mount", "private on /");
    sem_post(&self->ready_);
    wait(&self->pinned_);
    return nullptr;
  }

  sem_t ready_, pinned_;
  pid_t tid_ = 0;
  Failure failure_;
};

class CreateJob : public Job {
 public:
  using Job::Job;
  std::string paths[3];
  std::string mnt;
  std::string hostname;
  std::vector<std::pair<std::string, std::string>> sysctls;

  Failure run() override {
    if (Failure failure = on_own_thread([](void* self) { return static_cast<CreateJob*>(self)->create(); }, this)) return failure;
    if (mnt.empty() || is_pinned(mnt)) return {};
    Failure failure = MountNamespace().create(mnt);
    if (failure)
      for (int i = 0; i < 3; i++)
        if (fresh_ & kinds[i].flag) unpin(paths[i]);
    return failure;
  }

 private:
  Failure create() {
    int& fresh = fresh_;
    for (int i = 0; i < 3; i++) {
      if (paths[i].empty()) continue;
      if (!is_pinned(paths[i])) {
        fresh |= kinds[i].flag;
      } else if (Failure failure = enter(paths[i], kinds[i].flag)) {
        return failure;
      }
    }
    if (fresh && unshare(fresh) != 0) return failed("unshare");
    if (Failure failure = settle()) return failure;
    // Last, so that a pinned namespace is always a finished one.
    for (int i = 0; i < 3; i++) {
      if (!(fresh & kinds[i].flag)) continue;
      Failure failure = pin(kinds[i].self, paths[i]);
      if (!failure) continue;
      while (i-- > 0)
        if (fresh & kinds[i].flag) unpin(paths[i]);
      return failure;
    }
    return {};
  }

  Failure settle() {
    if (!hostname.empty() && !paths[2].empty() && sethostname(hostname.data(), hostname.size()) != 0) return failed("sethostname", hostname);
    if (!paths[0].empty())
      if (Failure failure = bring_up_loopback()) return failure;
    for (const auto& [name, value] : sysctls)
      if (Failure failure = write_file(sysctl_path(name), value)) return failure;
    return {};
  }

  int fresh_ = 0;
};

// (net, ipc, uts, mnt, hostname, [name, value, name, value, ...])
Napi::Value create_namespaces(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto job = std::make_unique<CreateJob>(env);
  for (size_t i = 0; i < 3; i++) job->paths[i] = arguments.text_or_empty(i);
  job->mnt = arguments.text_or_empty(3);
  job->hostname = arguments.text_or_empty(4);
  std::vector<std::string> sysctls = arguments.texts(5);
  if (!arguments.ok()) return {};
  for (size_t i = 0; i + 1 < sysctls.size(); i += 2) job->sysctls.emplace_back(sysctls[i], sysctls[i + 1]);
  return promise_of(std::move(job));
}

class UnpinJob : public Job {
 public:
  UnpinJob(Napi::Env env, std::string path) : Job(env), path_(std::move(path)) {}
  Failure run() override { return unpin(path_); }

 private:
  std::string path_;
};

Napi::Value unpin_namespace(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string path = arguments.text(0);
  if (!arguments.ok()) return {};
  return promise_of(std::make_unique<UnpinJob>(env, std::move(path)));
}

// Whether a path is a pinned namespace: one statfs(2).
Napi::Value pinned(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string path = arguments.text(0);
  if (!arguments.ok()) return {};
  return Napi::Boolean::New(env, is_pinned(path));
}

class SysctlJob : public Job {
 public:
  using Job::Job;
  std::string netns, name, value;
  bool writing = false;

  Failure run() override {
    return on_own_thread(
        [](void* self) {
          auto* job = static_cast<SysctlJob*>(self);
          if (!job->netns.empty())
            if (Failure failure = enter(job->netns, CLONE_NEWNET)) return failure;
          return job->writing ? write_file(sysctl_path(job->name), job->value) : job->read_value();
        },
        this);
  }

  Napi::Value result(Napi::Env env) override {
    if (writing) return env.Undefined();
    return Napi::String::New(env, value);
  }

 private:
  Failure read_value() {
    Fd file(open(sysctl_path(name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return failed("open", sysctl_path(name));
    char buffer[4096];
    ssize_t count = read(file.get(), buffer, sizeof buffer);
    if (count < 0) return failed("read", sysctl_path(name));
    while (count > 0 && buffer[count - 1] == '\n') count--;
    value.assign(buffer, static_cast<size_t>(count));
    return {};
  }
};

// (netns, name) => value; (netns, name, value) writes.
Napi::Value sysctl(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto job = std::make_unique<SysctlJob>(env);
  job->netns = arguments.text_or_empty(0);
  job->name = arguments.text(1);
  job->writing = arguments.value(2).IsString();
  if (job->writing) job->value = arguments.text(2);
  if (!arguments.ok()) return {};
  return promise_of(std::move(job));
}

}  // namespace

void define_namespaces(Napi::Object exports) {
  define(exports, "createNamespaces", create_namespaces);
  define(exports, "unpinNamespace", unpin_namespace);
  define(exports, "isPinned", pinned);
  define(exports, "sysctl", sysctl);
}

}  // namespace nft
