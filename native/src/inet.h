// An IPv4 or IPv6 address with a port, as the kernel takes it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace nft {

struct InetAddress {
  sockaddr_storage storage = {};
  // 0: the text is none, or the port too large.
  socklen_t size = 0;

  InetAddress(const std::string& host, uint32_t port) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (port > 0xffff) return;
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(static_cast<uint16_t>(port));
      size = sizeof *v4;
    } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(static_cast<uint16_t>(port));
      size = sizeof *v6;
    }
  }

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  // At the same place in both families.
  uint16_t port() const { return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port); }
};

}  // namespace nft
