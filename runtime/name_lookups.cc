#include "runtime/name_lookups.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "runtime/io_wait.h"
#include "runtime/socket_address.h"

namespace chronik::runtime {

namespace {

constexpr std::size_t kThreadsMax = 8;  // as many names may be without an answer before others wait

std::optional<Address> numeric_address(const std::string& host) {
  std::array<std::uint8_t, 16> ip{};
  if (::inet_pton(AF_INET, host.c_str(), ip.data()) == 1) {
    return Address::ipv4(ip[0], ip[1], ip[2], ip[3], 0);
  }
  if (::inet_pton(AF_INET6, host.c_str(), ip.data()) == 1) {
    return Address{.ip = ip, .port = 0};
  }
  return std::nullopt;
}

std::vector<Address> at_port(std::vector<Address> addresses, std::uint16_t port) {
  for (Address& address : addresses) {
    address.port = port;
  }
  return addresses;
}

}  // namespace

// Ends its lookup on the shard's thread, whether or not its fiber still waits.
class NameLookups::Resolution final : public HelperJob {
 public:
  Resolution(NameLookups& lookups, std::string host) : lookups_(lookups), host_(std::move(host)) {}
  ~Resolution() override {
    Answer& answer = *lookups_.under_way_.at(host_);
    answer.error = error_;
    answer.addresses = std::move(addresses_);
    lookups_.end(host_);
  }
  Resolution(const Resolution&) = delete;
  Resolution& operator=(const Resolution&) = delete;

  std::int64_t run() override {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    error_ = lookups_.calls_.look_up(host_.c_str(), &hints, &found);
    if (error_ != 0 && host_ == "localhost") {
      // A bare machine may have neither file nor server that knows it; the name is special all the same (RFC
      // 6761, 6.3).
      addresses_.push_back(Address::ipv4(127, 0, 0, 1, 0));
      error_ = 0;
    } else if (error_ == 0) {
      for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
          SocketAddress address;
          std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
          addresses_.push_back(from_socket_address(address));
        }
      }
      ::freeaddrinfo(found);
    }
    return 0;
  }

 private:
  NameLookups& lookups_;
  std::string host_;
  int error_ = EAI_AGAIN;  // it never ran: the node stops
  std::vector<Address> addresses_;
};

NameLookups::NameLookups(EventLoop& loop, SystemCalls& calls)
    : loop_(loop), calls_(calls), threads_(loop, "resolver", kThreadsMax) {}

void NameLookups::end(const std::string& host) {
  const auto found = under_way_.find(host);
  const std::shared_ptr<Answer> answer = std::move(found->second);
  under_way_.erase(found);
  answer->there = true;
  for (const OpNumber number : answer->waiting) {
    loop_.post({number, 0});
  }
}

Status NameLookups::wait_for(Answer& answer, const HelperWait& wait, const Deadline& deadline) {
  if (answer.there) {
    return ok();
  }
  IoWait operation;
  answer.waiting.push_back(operation.number());
  return operation.wait({wait.kind(), static_cast<std::uint64_t>(operation.number().value()), 0, 0}, deadline, &wait);
}

StatusOr<std::vector<Address>> NameLookups::look_up(std::string_view host, std::uint16_t port,
                                                    const Deadline& deadline) {
  RETURN_IF_ERROR(cannot_begin(deadline));
  const std::string name(host);
  if (const std::optional<Address> numeric = numeric_address(name)) {
    return at_port({*numeric}, port);
  }
  const HelperWait wait(WaitKind::kConnect, "look up", host);
  std::shared_ptr<Answer> answer;
  if (const auto found = under_way_.find(name); found != under_way_.end()) {
    answer = found->second;
    RETURN_IF_ERROR(wait_for(*answer, wait, deadline));
  } else {
    answer = under_way_[name] = std::make_shared<Answer>();
    std::unique_ptr<HelperJob> job = std::make_unique<Resolution>(*this, name);
    const StatusOr<std::int64_t> ran = threads_.run(job, wait, deadline);
    RETURN_IF_ERROR(ran.status());
    job.reset();
  }
  if (answer->error != 0) {
    return absl::NotFoundError(name + ": " + ::gai_strerror(answer->error));
  }
  return at_port(answer->addresses, port);
}

}  // namespace chronik::runtime
