// Datagrams by the dozen: one system call takes in, or sends, as many as there are. They lie in slots of one
// buffer, each its length (32 bits), the address of the other side (28 bytes) and its bytes.
#include <array>
#include <cstring>

#include "inet.h"
#include "addon.h"

namespace nft {
namespace {

constexpr size_t most = 64;
constexpr size_t address_at = sizeof(uint32_t);
constexpr size_t bytes_at = address_at + sizeof(sockaddr_in6);
static_assert(bytes_at == 32);

// Slots of a buffer, as the kernel wants them described.
struct Slots {
  size_t count = 0;
  std::array<mmsghdr, most> messages = {};
  std::array<iovec, most> vectors = {};

  Slots(uint8_t* data, size_t size, size_t slot) {
    for (; count < most && (count + 1) * slot <= size; count++) {
      uint8_t* at = data + count * slot;
      vectors[count] = {at + bytes_at, slot - bytes_at};
      msghdr& header = messages[count].msg_hdr;
      header.msg_name = at + address_at;
      header.msg_namelen = sizeof(sockaddr_in6);
      header.msg_iov = &vectors[count];
      header.msg_iovlen = 1;
    }
  }
};

bool fits(Napi::Env env, const uint8_t* data, size_t slot) {
  if (slot > bytes_at && slot % alignof(sockaddr_in6) == 0 && reinterpret_cast<uintptr_t>(data) % alignof(sockaddr_in6) == 0) return true;
  raise(env, Failure{EINVAL, "datagrams", "slots of " + std::to_string(slot) + " bytes"});
  return false;
}

// Binds to an address and port, 0 for any; returns the port.
Napi::Value bind_inet(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  std::string host = arguments.text(1);
  uint32_t port = arguments.natural(2);
  int fd = descriptor_of(arguments, 0);
  if (fd < 0) return {};
  InetAddress address(host, port);
  std::string where = host + ":" + std::to_string(port);
  if (!address.size) return raise(env, Failure{EINVAL, "bind", where});
  if (bind(fd, address.get(), address.size) != 0) return raise(env, failed("bind", where));
  if (getsockname(fd, address.get(), &address.size) != 0) return raise(env, failed("getsockname", where));
  return Napi::Number::New(env, address.port());
}

// Fills slots with what has arrived; how many. A datagram that is longer than its slot is cut.
Napi::Value receive_many(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto [data, size] = arguments.bytes(1);
  size_t slot = arguments.natural(2);
  int fd = descriptor_of(arguments, 0);
  if (fd < 0 || !fits(env, data, slot)) return {};
  Slots slots(data, size, slot);
  int count;
  do count = recvmmsg(fd, slots.messages.data(), slots.count, MSG_DONTWAIT, nullptr);
  while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Napi::Number::New(env, 0);
  if (count < 0) return raise(env, failed("recvmmsg"));
  for (int i = 0; i < count; i++) {
    uint32_t length = slots.messages[i].msg_len;
    memcpy(data + i * slot, &length, sizeof length);
  }
  return Napi::Number::New(env, count);
}

// Sends the first slots. One that cannot be sent (no route, no room) is lost, as datagrams are.
Napi::Value send_many(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  auto [data, size] = arguments.bytes(1);
  size_t slot = arguments.natural(2), count = arguments.natural(3);
  int fd = descriptor_of(arguments, 0);
  if (fd < 0 || !fits(env, data, slot)) return {};
  Slots slots(data, size, slot);
  if (count > slots.count) return raise(env, Failure{EINVAL, "sendmmsg", std::to_string(count) + " datagrams"});
  for (size_t i = 0; i < count; i++) {
    uint32_t length;
    memcpy(&length, data + i * slot, sizeof length);
    if (length > slot - bytes_at) return raise(env, Failure{EINVAL, "sendmmsg", std::to_string(length) + " bytes"});
    slots.vectors[i].iov_len = length;
    msghdr& header = slots.messages[i].msg_hdr;
    bool v4 = static_cast<sockaddr*>(header.msg_name)->sa_family == AF_INET;
    header.msg_namelen = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  }
  for (size_t at = 0; at < count;) {
    int sent = sendmmsg(fd, &slots.messages[at], count - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    at += sent > 0 ? sent : 1;
  }
  return env.Undefined();
}

}  // namespace

void define_datagrams(Napi::Object exports) {
  define(exports, "bindInet", bind_inet);
  define(exports, "receiveMany", receive_many);
  define(exports, "sendMany", send_many);
}

}  // namespace nft
