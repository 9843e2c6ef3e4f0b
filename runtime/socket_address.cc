#include "runtime/socket_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace chronik::runtime {

SocketAddress to_socket_address(const Address& address) {
  SocketAddress out;
  if (address.is_ipv4()) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(address.port);
    std::memcpy(&four.sin_addr, address.ip.data() + 12, 4);
    std::memcpy(&out.storage, &four, sizeof(four));
    out.size = sizeof(four);
  } else {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(address.port);
    std::memcpy(&six.sin6_addr, address.ip.data(), 16);
    std::memcpy(&out.storage, &six, sizeof(six));
    out.size = sizeof(six);
  }
  return out;
}

Address from_socket_address(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address.storage, sizeof(four));
    std::array<std::uint8_t, 4> ip{};
    std::memcpy(ip.data(), &four.sin_addr, 4);
    return Address::ipv4(ip[0], ip[1], ip[2], ip[3], ntohs(four.sin_port));
  }
  CHECK_EQ(address.family(), AF_INET6);
  sockaddr_in6 six{};
  std::memcpy(&six, &address.storage, sizeof(six));
  Address out;
  std::memcpy(out.ip.data(), &six.sin6_addr, 16);
  out.port = ntohs(six.sin6_port);
  return out;
}

Address local_address(int socket) {
  SocketAddress local;
  CHECK_EQ(::getsockname(socket, local.get(), &local.size), 0);
  return from_socket_address(local);
}

}  // namespace chronik::runtime
