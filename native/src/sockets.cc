// Sockets opened inside a network namespace and polled by the event loop. A socket belongs to the
// namespace that its thread was in at socket(); the thread that enters one ends right after.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include <cstring>
#include <vector>

#include "inet.h"
#include "addon.h"

namespace nft {

// Shared by the JavaScript object (its finalizer) and the uv handle (its close callback): the last
// of them deletes it.
struct Socket {
  Fd fd;
  Environment* environment = nullptr;
  Socket* next = nullptr;
  Socket** previous = nullptr;
  uv_poll_t poll;
  Napi::FunctionReference callback;
  bool polled = false;
  int owners = 1;
};

namespace {

constexpr napi_type_tag tag = {0x6e66742d6a730001, 0x736f636b65740001};

void disown(Socket* socket) {
  if (--socket->owners == 0) delete socket;
}

void unlink(Socket* socket) {
  if (!socket->previous) return;
  *socket->previous = socket->next;
  if (socket->next) socket->next->previous = socket->previous;
  socket->previous = nullptr;
  socket->next = nullptr;
}

// Stops polling; the descriptor stays open. The environment outlives this turn through `closing`.
void stop_polling(Socket* socket) {
  Environment* environment = socket->environment;
  socket->callback.Reset();
  if (!socket->polled) return;
  socket->polled = false;
  environment->closing++;
  uv_close(reinterpret_cast<uv_handle_t*>(&socket->poll), [](uv_handle_t* handle) {
    auto* socket = static_cast<Socket*>(handle->data);
    Environment* environment = socket->environment;
    environment->closing--;
    disown(socket);
    finish_environment(environment);
  });
}

void close_socket(Socket* socket) {
  if (!socket->previous) return;
  unlink(socket);
  stop_polling(socket);
  socket->fd.reset();
}

void finalize(Napi::Env, Socket* socket) {
  close_socket(socket);
  disown(socket);
}

class OpenJob : public Job {
 public:
  OpenJob(Napi::Env env, std::string netns, int domain, int type, int protocol)
      : Job(env), netns_(std::move(netns)), domain_(domain), type_(type), protocol_(protocol) {}

  Failure run() override {
    if (netns_.empty()) return open();
    return on_own_thread(
        [](void* self) {
          auto* job = static_cast<OpenJob*>(self);
          if (Failure failure = enter(job->netns_, CLONE_NEWNET)) return failure;
          return job->open();
        },
        this);
  }

  Napi::Value result(Napi::Env env) override {
    auto socket = std::make_unique<Socket>();
    auto external = Napi::External<Socket>::New(env, socket.get(), finalize);
    if (external.IsEmpty()) return {};
    napi_type_tag_object(env, external, &tag);
    Environment* environment = environment_of(env);
    socket->fd = std::move(fd_);
    socket->environment = environment;
    socket->next = environment->sockets;
    socket->previous = &environment->sockets;
    if (socket->next) socket->next->previous = &socket->next;
    environment->sockets = socket.release();
    return external;
  }

 private:
  Failure open() {
    fd_ = Fd(socket(domain_, type_ | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol_));
    return fd_ ? Failure{} : failed("socket", netns_);
  }

  std::string netns_;
  int domain_, type_, protocol_;
  Fd fd_;
};

Napi::Value open_socket(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string netns = arguments.text_or_empty(0);
  int domain = arguments.integer(1), type = arguments.integer(2), protocol = arguments.integer(3);
  if (!arguments.ok()) return {};
  return promise_of(std::make_unique<OpenJob>(env, std::move(netns), domain, type, protocol));
}

// The socket of an argument, open or closed, or null with an exception pending.
Socket* any_socket_of(const Arguments& arguments, size_t index) {
  Napi::Value value = arguments.value(index);
  if (!arguments.ok()) return nullptr;
  if (!value.IsExternal() || !value.As<Napi::External<Socket>>().CheckTypeTag(&tag)) {
    raise_type(value.Env(), "a socket was expected");
    return nullptr;
  }
  return value.As<Napi::External<Socket>>().Data();
}

// The open socket of an argument, or null with an exception pending (EBADF once it is closed).
Socket* socket_of(const Arguments& arguments, size_t index) {
  Socket* socket = any_socket_of(arguments, index);
  if (socket && !socket->fd) {
    raise(socket->environment->env, Failure{EBADF, "socket", "closed"});
    return nullptr;
  }
  return socket;
}

Napi::Value set_option(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  int level = arguments.integer(1), name = arguments.integer(2), value = arguments.integer(3);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  if (setsockopt(socket->fd.get(), level, name, &value, sizeof value) != 0)
    return raise(env, failed("setsockopt", std::to_string(level) + "/" + std::to_string(name)));
  return env.Undefined();
}

// As setOption, of an option that is a structure.
Napi::Value set_option_bytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  int level = arguments.integer(1), name = arguments.integer(2);
  auto [data, length] = arguments.bytes(3);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  if (setsockopt(socket->fd.get(), level, name, data, static_cast<socklen_t>(length)) != 0)
    return raise(env, failed("setsockopt", std::to_string(level) + "/" + std::to_string(name)));
  return env.Undefined();
}

// Frames for which the program (classic BPF, whole instructions) returns 0 do not reach the socket.
Napi::Value attach_filter(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  if (length % sizeof(sock_filter) != 0 || length / sizeof(sock_filter) > BPF_MAXINSNS)
    return raise(env, Failure{EINVAL, "setsockopt", "filter of " + std::to_string(length) + " bytes"});
  // The kernel reads the instructions as they lie: aligned.
  std::vector<sock_filter> program(length / sizeof(sock_filter));
  if (length > 0) memcpy(program.data(), data, length);
  sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  if (setsockopt(socket->fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    return raise(env, failed("setsockopt", "filter"));
  return env.Undefined();
}

Napi::Value get_option(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  int level = arguments.integer(1), name = arguments.integer(2), value = 0;
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  socklen_t size = sizeof value;
  if (getsockopt(socket->fd.get(), level, name, &value, &size) != 0)
    return raise(env, failed("getsockopt", std::to_string(level) + "/" + std::to_string(name)));
  return Napi::Number::New(env, value);
}

// Binds a netlink socket; the kernel chooses its port id, which is returned.
Napi::Value bind_netlink(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  socklen_t size = sizeof address;
  if (bind(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return raise(env, failed("bind", "netlink"));
  getsockname(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return Napi::Number::New(env, address.nl_pid);
}

// Binds a packet socket to a link: from now on it gets frames of this Ethernet protocol, and sends there.
Napi::Value bind_link(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  int link = arguments.integer(1), protocol = arguments.integer(2);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(static_cast<uint16_t>(protocol));
  address.sll_ifindex = link;
  if (bind(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return raise(env, failed("bind", "link " + std::to_string(link)));
  return env.Undefined();
}

// Sends one datagram, whole or not at all.
Napi::Value send_bytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  ssize_t sent;
  do sent = send(socket->fd.get(), data, length, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return raise(env, failed("send", std::to_string(length) + " bytes"));
  return env.Undefined();
}

class SendJob : public Job {
 public:
  SendJob(Napi::Env env, Fd fd, std::string datagram) : Job(env), fd_(std::move(fd)), datagram_(std::move(datagram)) {}
  Failure run() override {
    ssize_t sent;
    do sent = send(fd_.get(), datagram_.data(), datagram_.size(), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? failed("send", std::to_string(datagram_.size()) + " bytes") : Failure{};
  }

 private:
  // A duplicate: the socket may be closed meanwhile, and its number be given to another file.
  Fd fd_;
  std::string datagram_;
};

// As send, on a thread of the pool: the kernel carries out the commands before send(2) returns.
Napi::Value send_aside(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  Fd fd(fcntl(socket->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return raise(env, failed("fcntl"));
  return promise_of(std::make_unique<SendJob>(env, std::move(fd), std::string(reinterpret_cast<char*>(data), length)));
}

// Fills the buffer with one datagram. Its whole length (more than the buffer's: it was cut), -1 when
// there is none to read now.
Napi::Value receive(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  sockaddr_nl from = {};
  ssize_t count;
  do {
    socklen_t size = sizeof from;
    from = {};
    count = recvfrom(socket->fd.get(), data, length, MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &size);
    // Any process may send to a netlink socket's port id; only the kernel (port 0) is listened to.
  } while ((count < 0 && errno == EINTR) || (count >= 0 && from.nl_family == AF_NETLINK && from.nl_pid != 0));
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Napi::Number::New(env, -1);
  if (count < 0) return raise(env, failed("recv"));
  return Napi::Number::New(env, count);
}

// Starts to connect; EINPROGRESS is success, SO_ERROR tells the outcome once it is writable. A host
// that begins with a slash is the path of a unix socket.
Napi::Value connect_to(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string host = arguments.text(1);
  uint32_t port = arguments.natural(2);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  std::string where = host + ":" + std::to_string(port);
  sockaddr_un local = {};
  InetAddress inet(host, port);
  const sockaddr* address = inet.get();
  socklen_t size = inet.size;
  if (host.starts_with('/')) {
    if (host.size() >= sizeof local.sun_path) return raise(env, Failure{ENAMETOOLONG, "connect", host});
    local.sun_family = AF_UNIX;
    host.copy(local.sun_path, host.size());
    address = reinterpret_cast<sockaddr*>(&local);
    size = sizeof local;
  }
  if (!size) return raise(env, Failure{EINVAL, "connect", where});
  if (connect(socket->fd.get(), address, size) != 0 && errno != EINPROGRESS) return raise(env, failed("connect", where));
  return env.Undefined();
}

void on_poll(uv_poll_t* poll, int, int) {
  auto* socket = static_cast<Socket*>(poll->data);
  Napi::Env env = socket->environment->env;
  uv_poll_stop(poll);
  if (socket->callback.IsEmpty()) return;
  Napi::HandleScope scope(env);
  Napi::FunctionReference callback = std::move(socket->callback);
  // The receiver must be an object; the global one serves.
  napi_value function = callback.Value();
  callback.Reset();
  // As in error_of: the worker may be ending.
  napi_make_callback(env, nullptr, env.Global(), function, 0, nullptr, nullptr);
}

// Calls back once when the socket is readable (events 1) or writable (2), or has failed. Keeps the
// process alive until then. Replaces the callback that was armed before.
Napi::Value arm(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  int events = arguments.integer(1);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  if (!arguments.value(2).IsFunction()) return raise_type(env, "a function was expected");
  if (!socket->polled) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    if (int error = uv_poll_init(loop, &socket->poll, socket->fd.get())) return raise(env, Failure{-error, "epoll_ctl", ""});
    socket->poll.data = socket;
    socket->polled = true;
    socket->owners++;
  }
  socket->callback = Napi::Persistent(arguments.value(2).As<Napi::Function>());
  if (int error = uv_poll_start(&socket->poll, events, on_poll)) return raise(env, Failure{-error, "epoll_ctl", ""});
  return env.Undefined();
}

// Hands the descriptor over to JavaScript: the caller closes it from now on.
Napi::Value detach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  Socket* socket = socket_of(arguments, 0);
  if (!socket) return {};
  unlink(socket);
  stop_polling(socket);
  return Napi::Number::New(env, socket->fd.release());
}

// Idempotent. A callback that is armed is not called any more.
Napi::Value close_one(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  Socket* socket = any_socket_of(arguments, 0);
  if (!socket) return {};
  close_socket(socket);
  return env.Undefined();
}

}  // namespace

int descriptor_of(const Arguments& arguments, size_t index) {
  Socket* socket = socket_of(arguments, index);
  return socket ? socket->fd.get() : -1;
}

void close_sockets(Environment* environment) {
  while (environment->sockets) close_socket(environment->sockets);
}

void define_sockets(Napi::Object exports) {
  define(exports, "openSocket", open_socket);
  define(exports, "setOption", set_option);
  define(exports, "getOption", get_option);
  define(exports, "setOptionBytes", set_option_bytes);
  define(exports, "attachFilter", attach_filter);
  define(exports, "bindNetlink", bind_netlink);
  define(exports, "bindLink", bind_link);
  define(exports, "send", send_bytes);
  define(exports, "sendAside", send_aside);
  define(exports, "receive", receive);
  define(exports, "connect", connect_to);
  define(exports, "arm", arm);
  define(exports, "detach", detach);
  define(exports, "close", close_one);
}

}  // namespace nft
