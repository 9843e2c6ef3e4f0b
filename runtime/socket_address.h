// Addresses as the kernel spells them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/ports/network.h"

namespace chronik::runtime {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

SocketAddress to_socket_address(const Address& address);
Address from_socket_address(const SocketAddress& address);
// What a socket is bound to.
Address local_address(int socket);

}  // namespace chronik::runtime
