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
#include "napi.h"

namespace nft {

// Shared by the JavaScript object (its finalizer) and the uv handle (its close callback): the last
// of them deletes it.
struct Socket {
  Fd fd;
  Environment* environment = nullptr;
  Socket* next = nullptr;
  Socket** previous = nullptr;
  uv_poll_t poll;
  napi_ref callback = nullptr;
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
  if (socket->callback) napi_delete_reference(environment->env, socket->callback);
  socket->callback = nullptr;
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

void finalize(napi_env, void* data, void*) {
  auto* socket = static_cast<Socket*>(data);
  close_socket(socket);
  disown(socket);
}

class OpenJob : public Job {
 public:
  OpenJob(std::string netns, int domain, int type, int protocol)
      : netns_(std::move(netns)), domain_(domain), type_(type), protocol_(protocol) {}

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

  napi_value result(napi_env env) override {
    auto socket = std::make_unique<Socket>();
    napi_value external = nullptr;
    if (napi_create_external(env, socket.get(), finalize, nullptr, &external) != napi_ok) return nullptr;
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

napi_value open_socket(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string netns = arguments.text_or_empty(0);
  int domain = arguments.integer(1), type = arguments.integer(2), protocol = arguments.integer(3);
  if (!arguments.ok()) return nullptr;
  return promise_of(env, std::make_unique<OpenJob>(std::move(netns), domain, type, protocol));
}

// The open socket of an argument, or null with an exception pending (EBADF once it is closed).
Socket* socket_of(napi_env env, const Arguments& arguments, size_t index) {
  void* data = nullptr;
  bool tagged = false;
  napi_value value = arguments.value(index);
  if (!arguments.ok()) return nullptr;
  if (!value || napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged ||
      napi_get_value_external(env, value, &data) != napi_ok) {
    raise_type(env, "a socket was expected");
    return nullptr;
  }
  auto* socket = static_cast<Socket*>(data);
  if (!socket->fd) {
    raise(env, Failure{EBADF, "socket", "closed"});
    return nullptr;
  }
  return socket;
}

napi_value set_option(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int level = arguments.integer(1), name = arguments.integer(2), value = arguments.integer(3);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  if (setsockopt(socket->fd.get(), level, name, &value, sizeof value) != 0)
    return raise(env, failed("setsockopt", std::to_string(level) + "/" + std::to_string(name)));
  return undefined(env);
}

// As setOption, of an option that is a structure.
napi_value set_option_bytes(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int level = arguments.integer(1), name = arguments.integer(2);
  auto [data, length] = arguments.bytes(3);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  if (setsockopt(socket->fd.get(), level, name, data, static_cast<socklen_t>(length)) != 0)
    return raise(env, failed("setsockopt", std::to_string(level) + "/" + std::to_string(name)));
  return undefined(env);
}

// Frames for which the program (classic BPF, whole instructions) returns 0 do not reach the socket.
napi_value attach_filter(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  if (length % sizeof(sock_filter) != 0 || length / sizeof(sock_filter) > BPF_MAXINSNS)
    return raise(env, Failure{EINVAL, "setsockopt", "filter of " + std::to_string(length) + " bytes"});
  // The kernel reads the instructions as they lie: aligned.
  std::vector<sock_filter> program(length / sizeof(sock_filter));
  if (length > 0) memcpy(program.data(), data, length);
  sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  if (setsockopt(socket->fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    return raise(env, failed("setsockopt", "filter"));
  return undefined(env);
}

napi_value get_option(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int level = arguments.integer(1), name = arguments.integer(2), value = 0;
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  socklen_t size = sizeof value;
  if (getsockopt(socket->fd.get(), level, name, &value, &size) != 0)
    return raise(env, failed("getsockopt", std::to_string(level) + "/" + std::to_string(name)));
  return integer(env, value);
}

// Binds a netlink socket; the kernel chooses its port id, which is returned.
napi_value bind_netlink(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  socklen_t size = sizeof address;
  if (bind(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return raise(env, failed("bind", "netlink"));
  getsockname(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return integer(env, address.nl_pid);
}

// Binds a packet socket to a link: from now on it gets frames of this Ethernet protocol, and sends there.
napi_value bind_link(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int link = arguments.integer(1), protocol = arguments.integer(2);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(static_cast<uint16_t>(protocol));
  address.sll_ifindex = link;
  if (bind(socket->fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return raise(env, failed("bind", "link " + std::to_string(link)));
  return undefined(env);
}

// Sends one datagram, whole or not at all.
napi_value send_bytes(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  ssize_t sent;
  do sent = send(socket->fd.get(), data, length, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return raise(env, failed("send", std::to_string(length) + " bytes"));
  return undefined(env);
}

class SendJob : public Job {
 public:
  SendJob(Fd fd, std::string datagram) : fd_(std::move(fd)), datagram_(std::move(datagram)) {}
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
napi_value send_aside(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  Fd fd(fcntl(socket->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return raise(env, failed("fcntl"));
  return promise_of(env, std::make_unique<SendJob>(std::move(fd), std::string(reinterpret_cast<char*>(data), length)));
}

// Fills the buffer with one datagram. Its whole length (more than the buffer's: it was cut), -1 when
// there is none to read now.
napi_value receive(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto [data, length] = arguments.bytes(1);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  sockaddr_nl from = {};
  ssize_t count;
  do {
    socklen_t size = sizeof from;
    from = {};
    count = recvfrom(socket->fd.get(), data, length, MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &size);
    // Any process may send to a netlink socket's port id; only the kernel (port 0) is listened to.
  } while ((count < 0 && errno == EINTR) || (count >= 0 && from.nl_family == AF_NETLINK && from.nl_pid != 0));
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return integer(env, -1);
  if (count < 0) return raise(env, failed("recv"));
  return integer(env, count);
}

// Starts to connect; EINPROGRESS is success, SO_ERROR tells the outcome once it is writable. A host
// that begins with a slash is the path of a unix socket.
napi_value connect_to(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string host = arguments.text(1);
  uint32_t port = arguments.natural(2);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
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
  return undefined(env);
}

void on_poll(uv_poll_t* poll, int, int) {
  auto* socket = static_cast<Socket*>(poll->data);
  napi_env env = socket->environment->env;
  uv_poll_stop(poll);
  if (!socket->callback) return;
  napi_ref callback = std::exchange(socket->callback, nullptr);
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value function = nullptr, receiver = nullptr;
  napi_get_reference_value(env, callback, &function);
  napi_delete_reference(env, callback);
  // The receiver must be an object; the global one serves.
  napi_get_global(env, &receiver);
  if (function) napi_make_callback(env, nullptr, receiver, function, 0, nullptr, nullptr);
  napi_close_handle_scope(env, scope);
}

// Calls back once when the socket is readable (events 1) or writable (2), or has failed. Keeps the
// process alive until then. Replaces the callback that was armed before.
napi_value arm(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  int events = arguments.integer(1);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  napi_valuetype type = napi_undefined;
  if (arguments.value(2)) napi_typeof(env, arguments.value(2), &type);
  if (type != napi_function) return raise_type(env, "a function was expected");
  if (!socket->polled) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    if (int error = uv_poll_init(loop, &socket->poll, socket->fd.get())) return raise(env, Failure{-error, "epoll_ctl", ""});
    socket->poll.data = socket;
    socket->polled = true;
    socket->owners++;
  }
  if (socket->callback) napi_delete_reference(env, socket->callback);
  socket->callback = nullptr;
  napi_create_reference(env, arguments.value(2), 1, &socket->callback);
  if (int error = uv_poll_start(&socket->poll, events, on_poll)) return raise(env, Failure{-error, "epoll_ctl", ""});
  return undefined(env);
}

// Hands the descriptor over to JavaScript: the caller closes it from now on.
napi_value detach(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Socket* socket = socket_of(env, arguments, 0);
  if (!socket) return nullptr;
  unlink(socket);
  stop_polling(socket);
  return integer(env, socket->fd.release());
}

// Idempotent. A callback that is armed is not called any more.
napi_value close_one(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* data = nullptr;
  bool tagged = false;
  napi_value value = arguments.value(0);
  if (!value || napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged ||
      napi_get_value_external(env, value, &data) != napi_ok)
    return raise_type(env, "a socket was expected");
  close_socket(static_cast<Socket*>(data));
  return undefined(env);
}

}  // namespace

int descriptor_of(napi_env env, const Arguments& arguments, size_t index) {
  Socket* socket = socket_of(env, arguments, index);
  return socket ? socket->fd.get() : -1;
}

void close_sockets(Environment* environment) {
  while (environment->sockets) close_socket(environment->sockets);
}

void define_sockets(napi_env env, napi_value exports) {
  define(env, exports, "openSocket", open_socket);
  define(env, exports, "setOption", set_option);
  define(env, exports, "getOption", get_option);
  define(env, exports, "setOptionBytes", set_option_bytes);
  define(env, exports, "attachFilter", attach_filter);
  define(env, exports, "bindNetlink", bind_netlink);
  define(env, exports, "bindLink", bind_link);
  define(env, exports, "send", send_bytes);
  define(env, exports, "sendAside", send_aside);
  define(env, exports, "receive", receive);
  define(env, exports, "connect", connect_to);
  define(env, exports, "arm", arm);
  define(env, exports, "detach", detach);
  define(env, exports, "close", close_one);
}

}  // namespace nft
